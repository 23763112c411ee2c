mistakes.yaml:4:57: `nobody` is neither an address nor a name here
  4 |   lan: {subnets: [10.1.0.0/24, "fd00:1::/64"], gateway: nobody, mtu: 1400}
    |                                                         ^^^^^^

mistakes.yaml:5:39: `b` is not on network `wan`
  5 |   wan: {subnet: 10.2.0.0/24, gateway: b, uplink: {mode: nat, via: [eth7, eth0]}}
    |                                       ^ say `b: {networks: [wan]}` under `namespaces`

mistakes.yaml:5:68: the host has no interface `eth7`
  5 |   wan: {subnet: 10.2.0.0/24, gateway: b, uplink: {mode: nat, via: [eth7, eth0]}}
    |                                                                    ^^^^ did you mean `eth0`?

mistakes.yaml:12:21: 10.1.0.0 is the address of 10.1.0.0/24 itself, not of a host
  12 |     networks: {lan: [10.1.0.0, 10.1.0.255, 10.1.0.7], full: , wan: , own: }
     |                     ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ netloom refuses that, the kernel would not

mistakes.yaml:13:18: no link or network makes `a:eth9`
  13 |     interfaces: {eth9: {mtu: 1400}, lan: {mtu: 1500}}
     |                  ^^^^

mistakes.yaml:14:14: the gateway 10.9.9.9 is on no subnet of `a`, and no route leads straight to it
  14 |     routes: [default via 10.9.9.9, default via c, 10.0.0.0/8 dev nope, 10.7.0.0/16 via 10.1.0.9 src …
     |              ^^^^^^^^^^^^^^^^^^^^ write `10.9.9.9 dev IF` besides, or `dev IF onlink`

mistakes.yaml:14:36: `a` and `c` share no network or wire with addresses
  14 | …  routes: [default via 10.9.9.9, default via c, 10.0.0.0/8 dev nope, 10.7.0.0/16 via 10.1.0.9 src 10…
     |                                   ^^^^^^^^^^^^^

mistakes.yaml:14:51: no interface `nope` in `a`
  14 | …ult via 10.9.9.9, default via c, 10.0.0.0/8 dev nope, 10.7.0.0/16 via 10.1.0.9 src 10.1.0.8, "blackh…
     |                                   ^^^^^^^^^^^^^^^^^^^

mistakes.yaml:14:72: the source 10.1.0.8 is no address of `a`, or of an interface that is down
  14 | …ault via c, 10.0.0.0/8 dev nope, 10.7.0.0/16 via 10.1.0.9 src 10.1.0.8, "blackhole default via b"]
     |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

mistakes.yaml:14:111: `a` and `b` share several segments: say which, `b:lan` (10.1.0.7) · `b:full` (10.3.0.2) · `b:x` (10.9.0.1) · `b:y` (10.4.0.1)
  14 | ….0/16 via 10.1.0.9 src 10.1.0.8, "blackhole default via b"]
     |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^

mistakes.yaml:15:42: `lookup` wants a value
  15 | …s: [from 10.1.0.1/24 lookup 100, lookup, fwmark x lookup 1, priority 40000000000 lookup main]
     |                                   ^^^^^^

mistakes.yaml:15:50: `fwmark x` is no mark
  15 | … 10.1.0.1/24 lookup 100, lookup, fwmark x lookup 1, priority 40000000000 lookup main]
     |                                   ^^^^^^^^^^^^^^^^^ write `1` or `0x1/0xff`

mistakes.yaml:15:69: `priority 40000000000`: a number from 0 to 4294967295 is wanted
  15 | … 100, lookup, fwmark x lookup 1, priority 40000000000 lookup main]
     |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

mistakes.yaml:16:39: `net.ipv4.conf.all.forwarding` and `net.ipv4.ip_forward` are one setting, with two values
  16 | …ysctls: {net.ipv4.ip_forward: 0, net.ipv4.conf.all.forwarding: 1, net.ipv4.conf.eth8.rp_filter: 1, n…
     |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^

mistakes.yaml:16:72: no link or network makes an interface `eth8`
  16 | …net.ipv4.conf.all.forwarding: 1, net.ipv4.conf.eth8.rp_filter: 1, net.ipv6.conf.lan.disable_ipv6: 1}
     |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^

mistakes.yaml:17:26: port 22 of the host is taken: sshd
  17 |     publish: ["8080:80", "22:22", "[::1]:82:82"]
     |                          ^^^^^^^ publish another port

mistakes.yaml:17:35: nothing leads from ::1 into another namespace: IPv6 has no such route
  17 |     publish: ["8080:80", "22:22", "[::1]:82:82"]
     |                                   ^^^^^^^^^^^^^ `127.0.0.1:82:82`

mistakes.yaml:18:23: 10.1.0.7 of `b:lan` is also `a:lan`'s, on the same segment
  18 |   b: {networks: {lan: [10.1.0.7], full: }, publish: ["8080:81"], routes: [10.30.0.0/16 via 10.1.0.9,…
     |                       ^^^^^^^^^^ netloom refuses that, the kernel would not

mistakes.yaml:18:53: `b` is on no network with an uplink, so no port leads there
  18 | …n: [10.1.0.7], full: }, publish: ["8080:81"], routes: [10.30.0.0/16 via 10.1.0.9, 10.30.0.0/16 via 1…
     |                                   ^^^^^^^^^^^ give one of its networks `uplink: nat`

mistakes.yaml:18:102: a second route to 10.30.0.0/16, with the same metric
  18 | …tes: [10.30.0.0/16 via 10.1.0.9, 10.30.0.0/16 via 10.1.0.8]}
     |                                   ^^^^^^^^^^^^^^^^^^^^^^^^^

mistakes.yaml:19:18: no address is left in 10.3.0.0/30 for `c:full`
  19 |   c: {networks: {full: }, dns: nobody}
     |                  ^^^^ take a larger `subnet`

mistakes.yaml:19:32: `nobody` is neither an address nor a name here that has one
  19 |   c: {networks: {full: }, dns: nobody}
     |                                ^^^^^^

mistakes.yaml:20:18: `d:thin` has an IPv6 address, which needs an MTU of 1280 bytes
  20 |   d: {networks: {thin: }, publish: "9:9", routes: 10.0.0.0/8 dev thin}
     |                  ^^^^ an IPv4 `subnet:` alone asks for none

mistakes.yaml:20:36: `d` is on no network with an uplink, so no port leads there
  20 |   d: {networks: {thin: }, publish: "9:9", routes: 10.0.0.0/8 dev thin}
     |                                    ^^^^^ give one of its networks `uplink: nat`

mistakes.yaml:21:23: 10.1.0.255 is the address of 10.1.0.255/24 itself, not of a host
  21 |   e: {networks: {lan: 10.1.0.255, thin: "fd00:2::"}}
     |                       ^^^^^^^^^^ netloom refuses that, the kernel would not

mistakes.yaml:21:41: fd00:2:: is the address of fd00:2::/64 itself, not of a host
  21 |   e: {networks: {lan: 10.1.0.255, thin: "fd00:2::"}}
     |                                         ^^^^^^^^^^ netloom refuses that, the kernel would not

mistakes.yaml:22:23: 10.2.0.1 is outside 10.1.0.0/24 · fd00:1::/64 of network `lan`
  22 |   f: {networks: {lan: [10.2.0.1, "fd00:1::7"], own: 10.9.0.1}}
     |                       ^^^^^^^^^^^^^^^^^^^^^^^

mistakes.yaml:22:53: `10.9.0.1` has no prefix length
  22 |   f: {networks: {lan: [10.2.0.1, "fd00:1::7"], own: 10.9.0.1}}
     |                                                     ^^^^^^^^ write `10.9.0.1/24`

mistakes.yaml:23:20: `mistakes.switch` is the name of the lab's own switch namespace
  23 |   mistakes.switch: {networks: [lan]}
     |                    ^^^^^^^^^^^^^^^^^

mistakes.yaml:23:32: `mistakes.switch:lan` is made twice
  23 |   mistakes.switch: {networks: [lan]}
     |                                ^^^ give one of them another name

mistakes.yaml:24:23: `eth3` carries no Ethernet frames, so it cannot be the port of a bridge
  24 |   host: {interfaces: {eth3: {network: own}, eth5: {network: lan}}, routes: [10.1.0.0/16 via a]}
     |                       ^^^^

mistakes.yaml:24:45: the host has no interface `eth5`
  24 |   host: {interfaces: {eth3: {network: own}, eth5: {network: lan}}, routes: [10.1.0.0/16 via a]}
     |                                             ^^^^ did you mean `eth3`?

mistakes.yaml:26:6: `a:lan` is made twice
  26 |   - ["a:lan 10.8.0.1/24", "b:x 10.9.0.1/24"]
     |      ^^^^^^^^^^^^^^^^^^^ name one of them: `a:NAME`

