slips.yaml:2:7: `my lab` is no name: letters, digits, `_`, `.` and `-`, and no `.` or `-` first
  2 | name: my lab
    |       ^^^^^^

slips.yaml:4:9: unknown key `subnt` in network `lan`
  4 |   lan: {subnt: 10.1.0.0/24, mtu: big, stp: maybe, delay: 10ms}
    |         ^^^^^ did you mean `subnet`?

slips.yaml:4:34: `big` is no MTU: a number of bytes, such as `1400`
  4 |   lan: {subnt: 10.1.0.0/24, mtu: big, stp: maybe, delay: 10ms}
    |                                  ^^^

slips.yaml:4:44: `maybe` is neither `true` nor `false`
  4 |   lan: {subnt: 10.1.0.0/24, mtu: big, stp: maybe, delay: 10ms}
    |                                            ^^^^^

slips.yaml:4:51: `delay` of network `lan` is not built yet
  4 |   lan: {subnt: 10.1.0.0/24, mtu: big, stp: maybe, delay: 10ms}
    |                                                   ^^^^^

slips.yaml:5:8: `10.2.0.1/24` has bits set beyond its length
  5 |   wan: 10.2.0.1/24
    |        ^^^^^^^^^^^ write `10.2.0.0/24`

slips.yaml:6:25: `/129` is no prefix length of an IPv6 address
  6 |   six: {subnets: [fd00::/129, 10.0.0.0/8, "10.0.0.0/33"], driver: ovs}
    |                         ^^^^

slips.yaml:6:43: `/33` is no prefix length of an IPv4 address
  6 |   six: {subnets: [fd00::/129, 10.0.0.0/8, "10.0.0.0/33"], driver: ovs}
    |                                           ^^^^^^^^^^^^^

slips.yaml:6:67: `driver: ovs` of network `six` is not built yet
  6 |   six: {subnets: [fd00::/129, 10.0.0.0/8, "10.0.0.0/33"], driver: ovs}
    |                                                                   ^^^

slips.yaml:7:3: `a b` is no name: letters, digits, `_`, `.` and `-`, and no `.` or `-` first
  7 |   "a b": {}
    |   ^^^^^

slips.yaml:8:18: `gateway` must be one word, not a list
  8 |   mac: {gateway: [], range: 10.0.0.0, uplink: {mode: bridge, via: [eth0, eth0]}}
    |                  ^^

slips.yaml:8:29: `10.0.0.0` has no prefix length
  8 |   mac: {gateway: [], range: 10.0.0.0, uplink: {mode: bridge, via: [eth0, eth0]}}
    |                             ^^^^^^^^ write `10.0.0.0/24`

slips.yaml:8:54: `mode` cannot be `bridge`
  8 |   mac: {gateway: [], range: 10.0.0.0, uplink: {mode: bridge, via: [eth0, eth0]}}
    |                                                      ^^^^^^ it can be `nat`, `routed`, `user`

slips.yaml:9:30: `subnets` says again what network `two` has said
  9 |   two: {subnet: 10.7.0.0/24, subnets: [10.8.0.0/24], from: "docker:", bridge: 0123456789abcdef}
    |                              ^^^^^^^ keep one of them

slips.yaml:9:60: `docker:` is no segment, such as `virbr0`, `docker:NETWORK` or `LAB/NETWORK`
  9 |   two: {subnet: 10.7.0.0/24, subnets: [10.8.0.0/24], from: "docker:", bridge: 0123456789abcdef}
    |                                                            ^^^^^^^^^

slips.yaml:9:79: `0123456789abcdef` is longer than 15 bytes, the limit for an interface name
  9 |   two: {subnet: 10.7.0.0/24, subnets: [10.8.0.0/24], from: "docker:", bridge: 0123456789abcdef}
    |                                                                               ^^^^^^^^^^^^^^^^

slips.yaml:11:3: `all` is a word of the language, nothing may be named so
  11 |   all:
     |   ^^^

slips.yaml:12:14: `0` is no count: 1 to 10000
  12 |   a: {count: 0, networks: [lan, lam], routes: 10.0.0.0/8 via, rules: from}
     |              ^

slips.yaml:12:33: no network `lam`
  12 |   a: {count: 0, networks: [lan, lam], routes: 10.0.0.0/8 via, rules: from}
     |                                 ^^^ did you mean `lan`?

slips.yaml:13:14: `two` is no count: 1 to 10000
  13 |   b: {count: two, networks: {lan: [10.1.0.300, 10.1.0.1/99]}, sysctls: {kernel.pid_max: 1, net.ipv4.…
     |              ^^^

slips.yaml:13:36: `10.1.0.300` is no IP address
  13 | …b: {count: two, networks: {lan: [10.1.0.300, 10.1.0.1/99]}, sysctls: {kernel.pid_max: 1, net.ipv4.ip…
     |                                   ^^^^^^^^^^

slips.yaml:13:48: `/99` is no prefix length of an IPv4 address
  13 | …wo, networks: {lan: [10.1.0.300, 10.1.0.1/99]}, sysctls: {kernel.pid_max: 1, net.ipv4.ip_forward: [1…
     |                                   ^^^^^^^^^^^

slips.yaml:13:73: `kernel.pid_max` is no setting of a network namespace, such as `net.ipv4.ip_forward`
  13 | ….0.300, 10.1.0.1/99]}, sysctls: {kernel.pid_max: 1, net.ipv4.ip_forward: [1]}}
     |                                   ^^^^^^^^^^^^^^

slips.yaml:13:113: `net.ipv4.ip_forward` must be one word, not a list
  13 | …pid_max: 1, net.ipv4.ip_forward: [1]}}
     |                                   ^^^

slips.yaml:14:3: `lan` is a network and a namespace
  14 |   lan: {routes: [10.0.0.0/8 via 10.1.0.1 weight, 10.0.0.0/8 dev a dev b], rules: {a: b}}
     |   ^^^ one name stands for one thing

slips.yaml:14:82: an entry of `rules` must be one word, not a mapping
  14 |   lan: {routes: [10.0.0.0/8 via 10.1.0.1 weight, 10.0.0.0/8 dev a dev b], rules: {a: b}}
     |                                                                                  ^^^^^^ a text with a `:` at its end, or with `: ` inside, needs quotes

slips.yaml:15:17: `80` is no pair of ports, such as `8080:80` or `127.0.0.1:53:53/udp`
  15 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                 ^^^^

slips.yaml:15:23: `0` is no port number: 1 to 65535
  15 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                       ^^^^^

slips.yaml:15:30: `70000` is no port number: 1 to 65535
  15 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                              ^^^^^^^^^

slips.yaml:15:41: `::1:1:1` is no pair of ports, such as `8080:80` or `127.0.0.1:53:53/udp`; an IPv6 address stands in brackets: `[::1]:8080:80`
  15 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                                         ^^^^^^^^^

slips.yaml:15:58: a command of `c` has no `command`
  15 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                                                          ^^

slips.yaml:15:67: `1.2.3` is no IP address
  15 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                                                                   ^^^^^

slips.yaml:15:80: `../passwd` is no path below /etc, such as `motd` or `nginx/nginx.conf`
  15 |   c: {publish: ["80", "0:1", "1:70000", "::1:1:1"], run: {}, dns: 1.2.3, etc: {../passwd: x}}
     |                                                                                ^^^^^^^^^

slips.yaml:16:33: `env` must be a mapping, not a list
  16 |   lamp: {run: {command: x, env: [A]}, etc: {a: !mine text with words}}
     |                                 ^^^

slips.yaml:16:48: tags have no meaning here
  16 |   lamp: {run: {command: x, env: [A]}, etc: {a: !mine text with words}}
     |                                                ^^^^^ every value is text: drop the tag

slips.yaml:17:36: `0` is no port: a number from 1 to 65535
  17 | …d: {run: {command: x, ready: tcp/0, env: {A: , B: [x]}, nme: y}, hosts: {"-x": 10.0.0.1}, forwarding…
     |                                   ^

slips.yaml:17:48: `A` has no value
  17 | …mmand: x, ready: tcp/0, env: {A: , B: [x]}, nme: y}, hosts: {"-x": 10.0.0.1}, forwarding: 3}
     |                                   ^ a text, of several lines perhaps

slips.yaml:17:53: `B` must be one word, not a list
  17 | …: x, ready: tcp/0, env: {A: , B: [x]}, nme: y}, hosts: {"-x": 10.0.0.1}, forwarding: 3}
     |                                   ^^^

slips.yaml:17:59: unknown key `nme` in a command of `d`
  17 | …eady: tcp/0, env: {A: , B: [x]}, nme: y}, hosts: {"-x": 10.0.0.1}, forwarding: 3}
     |                                   ^^^ did you mean `name`?

slips.yaml:17:76: `-x` is no name: letters, digits, `_`, `.` and `-`, and no `.` or `-` first
  17 | … {A: , B: [x]}, nme: y}, hosts: {"-x": 10.0.0.1}, forwarding: 3}
     |                                   ^^^^

slips.yaml:17:105: `3` is neither `true` nor `false`
  17 | …s: {"-x": 10.0.0.1}, forwarding: 3}
     |                                   ^

slips.yaml:18:30: `01:00:00:00:00:01` is a multicast address: the first byte of a MAC address must be even
  18 |   e: {interfaces: {lo: {mac: 01:00:00:00:00:01}, x: {mac: zz, mtu: 10, kind: vxlan}}, firewall: {tex…
     |                              ^^^^^^^^^^^^^^^^^

slips.yaml:18:59: `zz` is no MAC address, such as `52:54:00:12:34:56`
  18 | …ac: 01:00:00:00:00:01}, x: {mac: zz, mtu: 10, kind: vxlan}}, firewall: {text: a, file: b}}
     |                                   ^^

slips.yaml:18:68: an MTU is 68 to 65535 bytes, not 10
  18 | …:00:00:00:01}, x: {mac: zz, mtu: 10, kind: vxlan}}, firewall: {text: a, file: b}}
     |                                   ^^

slips.yaml:18:72: `kind` of interface `e:x` is not built yet
  18 | …00:00:01}, x: {mac: zz, mtu: 10, kind: vxlan}}, firewall: {text: a, file: b}}
     |                                   ^^^^

slips.yaml:19:10: `count` of namespace `host` is not built yet
  19 |   host: {count: 2, run: x}
     |          ^^^^^ it changes the host itself

slips.yaml:19:20: `run` of namespace `host` is not built yet
  19 |   host: {count: 2, run: x}
     |                    ^^^ it changes the host itself

slips.yaml:21:5: this link takes 2 ends, and here is 1
  21 |   - [a]
     |     ^^^ write `[A, B]`

slips.yaml:22:18: an MTU is 68 to 65535 bytes, not 1
  22 |   - [a, b, {mtu: 1}]
     |                  ^

slips.yaml:23:6: `` is no interface name: no `/`, `:`, space or control character, and not empty
  23 |   - ["a:", ":x"]
     |      ^^^^

slips.yaml:23:12: `` is no name: letters, digits, `_`, `.` and `-`, and no `.` or `-` first
  23 |   - ["a:", ":x"]
     |            ^^^^

slips.yaml:24:10: `10.0.0.1` has no prefix length
  24 |   - [a:x 10.0.0.1, b 10.0.0.2/24]
     |          ^^^^^^^^ write `10.0.0.1/24`

slips.yaml:25:28: `10.0.0.1/24` has bits set beyond its length
  25 |   - {ends: [a, b], subnet: 10.0.0.1/24, ends: [c, d]}
     |                            ^^^^^^^^^^^ write `10.0.0.0/24`

slips.yaml:25:41: `ends` is given twice
  25 |   - {ends: [a, b], subnet: 10.0.0.1/24, ends: [c, d]}
     |                                         ^^^^ the first is on line 25

slips.yaml:26:5: this link takes 2 ends, and here is 1
  26 |   - a, b
     |     ^^^^ write `[A, B]`

slips.yaml:27:10: `a` has no arrow, such as `web -> db tcp/5432` (also `<->` and `-/>`)
  27 | expect: [a, a ->, -> b, a -> b tcp/99999, a -> b sctp/1]
     |          ^

slips.yaml:27:13: there is no destination
  27 | expect: [a, a ->, -> b, a -> b tcp/99999, a -> b sctp/1]
     |             ^^^^

slips.yaml:27:19: there is no source
  27 | expect: [a, a ->, -> b, a -> b tcp/99999, a -> b sctp/1]
     |                   ^^^^

slips.yaml:27:36: `99999` is no port number: 1 to 65535
  27 | expect: [a, a ->, -> b, a -> b tcp/99999, a -> b sctp/1]
     |                                    ^^^^^

slips.yaml:27:50: `sctp` is no protocol with ports: tcp or udp
  27 | expect: [a, a ->, -> b, a -> b tcp/99999, a -> b sctp/1]
     |                                                  ^^^^

slips.yaml:28:8: `/33` is no prefix length of an IPv4 address
  28 | pool: [10.0.0.0/33, none]
     |        ^^^^^^^^^^^

slips.yaml:28:21: `none` is no IP address
  28 | pool: [10.0.0.0/33, none]
     |                     ^^^^

slips.yaml:29:10: `routing` cannot be `ospf`
  29 | routing: ospf
     |          ^^^^ it can be `static`

slips.yaml:30:12: `nowhere` is no IP address
  30 | hosts: {x: nowhere, a: 10.0.0.1}
     |            ^^^^^^^

slips.yaml:30:21: `a` is in the lab, and outside of it
  30 | hosts: {x: nowhere, a: 10.0.0.1}
     |                     ^ one name stands for one thing

slips.yaml:31:1: unknown key `whatever` in the file
  31 | whatever: 1
     | ^^^^^^^^ here stand: name, networks, namespaces, links, hosts, expect, pool, routing

