<text>:2:7: `my lab` is no name: letters, digits, `_`, `.` and `-`, and no `.` or `-` first
  2 | name: my lab
    |       ^^^^^^

<text>:4:9: unknown key `subnt` in network `lan`
  4 |   lan: {subnt: 10.1.0.0/24, mtu: big, stp: maybe, delay: 10ms}
    |         ^^^^^ did you mean `subnet`?

<text>:4:34: `big` is no MTU: a number of bytes, such as `1400`
  4 |   lan: {subnt: 10.1.0.0/24, mtu: big, stp: maybe, delay: 10ms}
    |                                  ^^^

<text>:4:44: `maybe` is neither `true` nor `false`
  4 |   lan: {subnt: 10.1.0.0/24, mtu: big, stp: maybe, delay: 10ms}
    |                                            ^^^^^

<text>:4:51: `delay` of network `lan` is not built yet
  4 |   lan: {subnt: 10.1.0.0/24, mtu: big, stp: maybe, delay: 10ms}
    |                                                   ^^^^^

<text>:5:8: `10.2.0.1/24` has bits set beyond its length
  5 |   wan: 10.2.0.1/24
    |        ^^^^^^^^^^^ write `10.2.0.0/24`

<text>:6:25: `/129` is no prefix length of an IPv6 address
  6 |   six: {subnets: [fd00::/129, 10.0.0.0/8, "10.0.0.0/33"], driver: ovs}
    |                         ^^^^

<text>:6:43: `/33` is no prefix length of an IPv4 address
  6 |   six: {subnets: [fd00::/129, 10.0.0.0/8, "10.0.0.0/33"], driver: ovs}
    |                                           ^^^^^^^^^^^^^

<text>:6:67: `driver: ovs` of network `six` is not built yet
  6 |   six: {subnets: [fd00::/129, 10.0.0.0/8, "10.0.0.0/33"], driver: ovs}
    |                                                                   ^^^

<text>:7:3: `a b` is no name: letters, digits, `_`, `.` and `-`, and no `.` or `-` first
  7 |   "a b": {}
    |   ^^^^^

<text>:8:18: `gateway` is one word, not a list
  8 |   mac: {gateway: [], range: 10.0.0.0, uplink: {mode: bridge, via: [eth0, eth0]}}
    |                  ^^

<text>:8:29: `10.0.0.0` has no prefix length
  8 |   mac: {gateway: [], range: 10.0.0.0, uplink: {mode: bridge, via: [eth0, eth0]}}
    |                             ^^^^^^^^ write `10.0.0.0/24`

<text>:8:54: `mode` cannot be `bridge`
  8 |   mac: {gateway: [], range: 10.0.0.0, uplink: {mode: bridge, via: [eth0, eth0]}}
    |                                                      ^^^^^^ `nat`, `routed`, `user`

<text>:9:30: `subnets` says again what network `two` has said
  9 |   two: {subnet: 10.7.0.0/24, subnets: [10.8.0.0/24], from: "docker:", bridge: 0123456789abcdef}
    |                              ^^^^^^^ keep one of them

<text>:9:60: `docker:` is no segment, such as `virbr0`, `docker:NETWORK` or `LAB/NETWORK`
  9 |   two: {subnet: 10.7.0.0/24, subnets: [10.8.0.0/24], from: "docker:", bridge: 0123456789abcdef}
    |                                                            ^^^^^^^^^

<text>:9:79: `0123456789abcdef` is longer than 15 bytes, the limit for an interface name
  9 |   two: {subnet: 10.7.0.0/24, subnets: [10.8.0.0/24], from: "docker:", bridge: 0123456789abcdef}
    |                                                                               ^^^^^^^^^^^^^^^^

<text>:11:3: `all` is a word of the language, nothing may be named so
  11 |   all:
     |   ^^^

<text>:12:14: `0` is no count: 1 to 10000
  12 |   a: {count: 0, networks: [lan, lam], routes: 10.0.0.0/8 via, rules: from}
     |              ^

<text>:12:33: no network `lam`
  12 |   a: {count: 0, networks: [lan, lam], routes: 10.0.0.0/8 via, rules: from}
     |                                 ^^^ did you mean `lan`?

<text>:13:14: `two` is no count: 1 to 10000
  13 |   b: {count: two, networks: {lan: [10.1.0.300, 10.1.0.1/99]}, sysctls: {kernel.pid_max: 1, net.ipv4.…
     |              ^^^

<text>:13:36: `10.1.0.300` is no IP address
  13 | …b: {count: two, networks: {lan: [10.1.0.300, 10.1.0.1/99]}, sysctls: {kernel.pid_max: 1, net.ipv4.ip…
     |                                   ^^^^^^^^^^

<text>:13:48: `/99` is no prefix length of an IPv4 address
  13 | …wo, networks: {lan: [10.1.0.300, 10.1.0.1/99]}, sysctls: {kernel.pid_max: 1, net.ipv4.ip_forward: [1…
     |                                   ^^^^^^^^^^^

<text>:13:73: `kernel.pid_max` is no setting of a network namespace, such as `net.ipv4.ip_forward`
  13 | ….0.300, 10.1.0.1/99]}, sysctls: {kernel.pid_max: 1, net.ipv4.ip_forward: [1]}}
     |                                   ^^^^^^^^^^^^^^

<text>:13:113: `net.ipv4.ip_forward` is one word, not a list
  13 | …pid_max: 1, net.ipv4.ip_forward: [1]}}
     |                                   ^^^

<text>:14:17: `80` is no pair of ports, such as `8080:80` or `127.0.0.1:53:53/udp`
  14 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                 ^^^^

<text>:14:23: `0` is no port number: 1 to 65535
  14 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                       ^^^^^

<text>:14:30: `70000` is no port number: 1 to 65535
  14 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                              ^^^^^^^^^

<text>:14:41: `::1:1:1` is no pair of ports, such as `8080:80` or `127.0.0.1:53:53/udp`
  14 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                                         ^^^^^^^^^

<text>:14:58: a command of `c` has no `command`
  14 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                                                          ^^

<text>:14:67: `1.2.3` is no IP address
  14 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                                                                   ^^^^^

<text>:14:80: `../passwd` is no path below /etc, such as `motd` or `nginx/nginx.conf`
  14 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                                                                                ^^^^^^^^^

<text>:15:36: `0` is no port: a number from 1 to 65535
  15 |   d: {run: {command: x, ready: tcp/0, env: [A], nme: y}, hosts: {"-x": 10.0.0.1}, forwarding: 3}
     |                                    ^

<text>:15:44: `env` is a mapping, not a list
  15 |   d: {run: {command: x, ready: tcp/0, env: [A], nme: y}, hosts: {"-x": 10.0.0.1}, forwarding: 3}
     |                                            ^^^

<text>:15:49: unknown key `nme` in a command of `d`
  15 |   d: {run: {command: x, ready: tcp/0, env: [A], nme: y}, hosts: {"-x": 10.0.0.1}, forwarding: 3}
     |                                                 ^^^ did you mean `name`?

<text>:15:66: `-x` is no name: letters, digits, `_`, `.` and `-`, and no `.` or `-` first
  15 |   d: {run: {command: x, ready: tcp/0, env: [A], nme: y}, hosts: {"-x": 10.0.0.1}, forwarding: 3}
     |                                                                  ^^^^

<text>:15:95: `3` is neither `true` nor `false`
  15 |   d: {run: {command: x, ready: tcp/0, env: [A], nme: y}, hosts: {"-x": 10.0.0.1}, forwarding: 3}
     |                                                                                               ^

<text>:16:30: `01:00:00:00:00:01` is a multicast address: the first byte of a MAC address must be even
  16 |   e: {interfaces: {lo: {mac: 01:00:00:00:00:01}, x: {mac: zz, mtu: 10, kind: vxlan}}, firewall: {tex…
     |                              ^^^^^^^^^^^^^^^^^

<text>:16:59: `zz` is no MAC address, such as `52:54:00:12:34:56`
  16 | …ac: 01:00:00:00:00:01}, x: {mac: zz, mtu: 10, kind: vxlan}}, firewall: {text: a, file: b}}
     |                                   ^^

<text>:16:68: an MTU is 68 to 65535 bytes, not 10
  16 | …:00:00:00:01}, x: {mac: zz, mtu: 10, kind: vxlan}}, firewall: {text: a, file: b}}
     |                                   ^^

<text>:16:72: `kind` of interface `e:x` is not built yet
  16 | …00:00:01}, x: {mac: zz, mtu: 10, kind: vxlan}}, firewall: {text: a, file: b}}
     |                                   ^^^^ an address is written `addresses: …`

<text>:17:10: `count` of namespace `host` is not built yet
  17 |   host: {count: 2, run: x}
     |          ^^^^^ it changes the host itself

<text>:17:20: `run` of namespace `host` is not built yet
  17 |   host: {count: 2, run: x}
     |                    ^^^ it changes the host itself

<text>:19:5: `ends` takes 2, and here is 1
  19 |   - [a]
     |     ^^^ write `[A, B]`

<text>:20:18: an MTU is 68 to 65535 bytes, not 1
  20 |   - [a, b, {mtu: 1}]
     |                  ^

<text>:21:6: `` is no interface name: no `/`, `:`, space or control character, and not empty
  21 |   - ["a:", ":x"]
     |      ^^^^

<text>:21:12: `` is no name: letters, digits, `_`, `.` and `-`, and no `.` or `-` first
  21 |   - ["a:", ":x"]
     |            ^^^^

<text>:22:10: `10.0.0.1` has no prefix length
  22 |   - [a:x 10.0.0.1, b 10.0.0.2/24]
     |          ^^^^^^^^ write `10.0.0.1/24`

<text>:23:28: `10.0.0.1/24` has bits set beyond its length
  23 |   - {ends: [a, b], subnet: 10.0.0.1/24, ends: [c, d]}
     |                            ^^^^^^^^^^^ write `10.0.0.0/24`

<text>:23:41: `ends` is given twice
  23 |   - {ends: [a, b], subnet: 10.0.0.1/24, ends: [c, d]}
     |                                         ^^^^ the first is on line 23

<text>:24:5: `ends` takes 2, and here is 1
  24 |   - a, b
     |     ^^^^ write `[A, B]`

<text>:25:10: `a` has no arrow, such as `web -> db tcp/5432` (also `<->` and `-/>`)
  25 | expect: [a, a ->, -> b, a -> b tcp/99999, a -> b sctp/1]
     |          ^

<text>:25:13: there is no destination
  25 | expect: [a, a ->, -> b, a -> b tcp/99999, a -> b sctp/1]
     |             ^^^^

<text>:25:19: there is no source
  25 | expect: [a, a ->, -> b, a -> b tcp/99999, a -> b sctp/1]
     |                   ^^^^

<text>:25:36: `99999` is no port number: 1 to 65535
  25 | expect: [a, a ->, -> b, a -> b tcp/99999, a -> b sctp/1]
     |                                    ^^^^^

<text>:25:50: `sctp` is no protocol with ports: tcp or udp
  25 | expect: [a, a ->, -> b, a -> b tcp/99999, a -> b sctp/1]
     |                                                  ^^^^

<text>:26:8: `/33` is no prefix length of an IPv4 address
  26 | pool: [10.0.0.0/33, none]
     |        ^^^^^^^^^^^

<text>:26:21: `none` has no prefix length
  26 | pool: [10.0.0.0/33, none]
     |                     ^^^^ write `none/24`

<text>:27:10: `routing` cannot be `ospf`
  27 | routing: ospf
     |          ^^^^ `static`

<text>:28:12: `nowhere` is no IP address
  28 | hosts: {x: nowhere}
     |            ^^^^^^^

<text>:29:1: unknown key `whatever` in the file
  29 | whatever: 1
     | ^^^^^^^^ here stand: name, networks, namespaces, links, hosts, expect, pool, routing

