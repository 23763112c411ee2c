links.0.ends.0: `a:lan` is made twice
  hint: name one of them: `a:NAME`

namespaces.a.interfaces.eth9: no link or network makes `a:eth9`

namespaces.a.networks.lan: 10.1.0.0 is the address of 10.1.0.0/24 itself, not of a host

namespaces.a.networks.lan: 10.1.0.255 is the address of 10.1.0.255/24 itself, not of a host

namespaces.b.networks.lan: 10.1.0.7 of `b:lan` is also `a:lan`'s, on the same segment

namespaces.c.networks.full: no address is left in 10.3.0.0/30 for `c:full`

namespaces.mistakes.switch: `mistakes.switch` is the name of the lab's own switch namespace

namespaces.a.sysctls.net.ipv4.conf.eth8.rp_filter: no link or network makes an interface `eth8`

namespaces.a.sysctls.net.ipv4.conf.all.forwarding: `net.ipv4.conf.all.forwarding` and `net.ipv4.ip_forward` are one setting, with two values

networks.wan.uplink.via.0: the host has no interface `eth7`
  hint: did you mean `eth0`?

namespaces.a.publish.1: port 22 of the host is taken: sshd
  hint: publish another port

namespaces.a.publish.2: nothing leads from ::1 into another namespace: IPv6 has no such route
  hint: `127.0.0.1:82:82`

namespaces.b.publish: `b` is on no network with an uplink, so no port leads there
  hint: give one of its networks `uplink: nat`

namespaces.d.publish: `d` is on no network with an uplink, so no port leads there
  hint: give one of its networks `uplink: nat`

namespaces.host.interfaces.eth5: the host has no interface `eth5`
  hint: did you mean `eth3`?

namespaces.host.interfaces.eth3: `eth3` carries no Ethernet frames, so it cannot be the port of a bridge

namespaces.mistakes.switch.networks.lan: `mistakes.switch:lan` is made twice
  hint: give one of them another name

namespaces.d.networks.thin: `d:thin` has an IPv6 address, which needs an MTU of 1280 bytes

namespaces.a.routes.0: the gateway 10.9.9.9 is on no subnet of `a`

namespaces.a.routes.1: `a` and `c` share no network or wire with addresses

namespaces.a.routes.2: no interface `nope` in `a`

namespaces.a.routes.3: the source 10.1.0.8 is no address of `a`, or of an interface that is down

namespaces.a.routes.4: `a` and `b` share several segments: say which, `b:lan` (10.1.0.7) · `b:full` (10.3.0.2) · `b:x` (10.9.0.1) · `b:y` (10.4.0.1)

networks.lan.gateway: `nobody` is neither an address nor a name here

networks.wan.gateway: `b` is not on network `wan`

namespaces.a.rules.1: `lookup` wants a value

namespaces.a.rules.2: `fwmark x`: write `1` or `0x1/0xff`

namespaces.a.rules.3: `priority 40000000000`: a number from 0 to 4294967295 is wanted

namespaces.c.dns.0: `nobody` is neither an address nor a name here with one

