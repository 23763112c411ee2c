#!/bin/sh
set -e
ip netns add ways.out
ip -n ways.out link set lo up alias netloom:ways/ways.out
ip netns exec ways.out sysctl -qw net.ipv4.ip_forward=1
ip netns exec ways.out sysctl -qw net.ipv6.conf.all.forwarding=1
ip netns exec ways.out sysctl -qw net.ipv6.conf.default.accept_dad=0
ip netns add ways.switch
ip -n ways.switch link set lo up alias netloom:ways/ways.switch
ip netns exec ways.switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip netns add web
ip -n web link set lo up alias netloom:ways/web
ip netns add db
ip -n db link set lo up alias netloom:ways/db
ip netns add gate
ip -n gate link set lo up alias netloom:ways/gate
ip netns exec gate sysctl -qw net.ipv4.ip_forward=1
ip netns exec gate sysctl -qw net.ipv6.conf.all.forwarding=1
ip netns add app
ip -n app link set lo up alias netloom:ways/app
nft -f - <<'END-OF-RULES'
table inet netloom-ways {}
delete table inet netloom-ways
table inet netloom-ways {
comment "netloom:ways"
	chain guard {
		type filter hook forward priority filter - 5; policy accept;
		iifname "br-nat" oifname "br-nat" accept
		iifname { "br-nat", "docker0.ways", "eth1" } ct state { invalid, untracked } drop
		iifname { "br-nat", "docker0.ways", "eth1", "routed" } ct state established,related accept
		oifname { "br-nat", "docker0.ways", "eth1", "routed" } ct state established,related accept
		iifname "br-nat" oifname "eth0" accept
		iifname "eth1" oifname "wlan0.7" accept
		iifname "routed" oifname "eth0" accept
		iifname "eth0" oifname "routed" accept
		iifname "docker0.ways" oifname "eth0" accept
		oifname { "br-nat", "docker0.ways", "eth1", "routed" } ct status dnat accept
		iifname { "br-nat", "docker0.ways", "eth1", "routed" } ct status dnat accept
		iifname { "br-nat", "docker0.ways", "eth1", "routed" } drop
		oifname { "br-nat", "docker0.ways", "eth1", "routed" } drop
		iifname "docker0" oifname "docker0" accept
		iifname "virbr0" oifname "virbr0" accept
		meta nfproto ipv4 iifname "eth0" oifname { "docker0", "eth0", "virbr0", "wlan0.7" } drop
		meta nfproto ipv4 iifname "wlan0.7" oifname { "docker0", "eth0", "virbr0", "wlan0.7" } drop
		meta nfproto ipv6 iifname { "docker0", "eth0", "virbr0", "wlan0.7" } oifname { "docker0", "eth0", "virbr0", "wlan0.7" } drop
	}
	chain clamp {
		type filter hook forward priority mangle; policy accept;
		iifname { "br-nat", "docker0.ways", "eth1", "routed" } tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		oifname { "br-nat", "docker0.ways", "eth1", "routed" } tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
	}
	chain hide {
		type nat hook postrouting priority srcnat; policy accept;
		iifname "br-nat" oifname "eth0" masquerade
		meta nfproto ipv4 iifname "br-nat" oifname "br-nat" ct status dnat masquerade
		ip saddr 127.0.0.0/8 oifname "br-nat" masquerade
		meta nfproto ipv6 iifname "br-nat" oifname "br-nat" ct status dnat masquerade
		iifname "eth1" oifname "wlan0.7" masquerade
		meta nfproto ipv4 iifname "eth1" oifname "eth1" ct status dnat masquerade
		ip saddr 127.0.0.0/8 oifname "eth1" masquerade
		meta nfproto ipv6 oifname "eth1" ct status dnat masquerade
		iifname "docker0.ways" oifname "eth0" masquerade
	}
	chain localnet {
		type filter hook prerouting priority raw; policy accept;
		iifname { "br-nat", "docker0.ways", "eth1", "routed" } ip daddr 127.0.0.0/8 drop
	}
	chain publish {
		type nat hook prerouting priority dstnat; policy accept;
		meta nfproto ipv4 fib daddr type local tcp dport 8080 dnat ip to 10.100.0.80:80
		meta nfproto ipv6 fib daddr type local ip6 daddr != ::1 tcp dport 8080 dnat ip6 to [fd00:100::80]:80
		ip daddr 127.0.0.1 tcp dport 8443 dnat ip to 10.100.0.80:443
		meta nfproto ipv4 fib daddr type local udp dport 53 dnat ip to 10.100.0.80:5353
		meta nfproto ipv6 fib daddr type local ip6 daddr != ::1 udp dport 53 dnat ip6 to [fd00:100::80]:5353
		ip6 daddr 2001:db8::2 tcp dport 81 dnat ip6 to [fd00:100::80]:81
		ip daddr 192.0.2.2 tcp dport 5432 dnat ip to 10.101.0.2:5432
	}
	chain publish-here {
		type nat hook output priority -100; policy accept;
		meta nfproto ipv4 fib daddr type local tcp dport 8080 dnat ip to 10.100.0.80:80
		meta nfproto ipv6 fib daddr type local ip6 daddr != ::1 tcp dport 8080 dnat ip6 to [fd00:100::80]:80
		ip daddr 127.0.0.1 tcp dport 8443 dnat ip to 10.100.0.80:443
		meta nfproto ipv4 fib daddr type local udp dport 53 dnat ip to 10.100.0.80:5353
		meta nfproto ipv6 fib daddr type local ip6 daddr != ::1 udp dport 53 dnat ip6 to [fd00:100::80]:5353
		ip6 daddr 2001:db8::2 tcp dport 81 dnat ip6 to [fd00:100::80]:81
		ip daddr 192.0.2.2 tcp dport 5432 dnat ip to 10.101.0.2:5432
	}
}
END-OF-RULES
ip link add name br-nat address 02:e0:dd:fb:77:7b mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip link set dev br-nat mtu 1500
ip -n ways.switch link add name eth1 address 02:d9:7a:68:20:49 mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n ways.switch link set dev eth1 mtu 1500
ip -n ways.switch link add name routed address 02:7d:08:4d:9d:c6 mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n ways.switch link set dev routed mtu 1500
ip -n ways.switch link add name user address 02:84:59:aa:f4:6d mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n ways.switch link set dev user mtu 1500
ip -n ways.switch link add name docker0 address 02:47:25:29:af:6f mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n ways.switch link set dev docker0 mtu 1500
ip link add name web.nat address fe:19:0c:f5:5a:cc mtu 1500 type veth peer name nat netns web address 02:da:97:14:38:b3 mtu 1500
ip link set dev web.nat master br-nat
ip -n ways.switch link add name host.eth1 address 02:e3:a2:6d:04:64 mtu 1500 type veth peer name eth1 netns $$ address 02:41:47:6b:3d:84 mtu 1500
ip -n ways.switch link set dev host.eth1 master eth1
ip -n ways.switch link add name db.eth1 address 02:40:b7:7a:ba:7d mtu 1500 type veth peer name eth1 netns db address 02:0e:e7:cf:b5:bb mtu 1500
ip -n ways.switch link set dev db.eth1 master eth1
ip -n ways.switch link add name host.routed address 02:07:1d:91:e7:ea mtu 1500 type veth peer name routed netns $$ address 02:d5:b3:c7:90:8f mtu 1500
ip -n ways.switch link set dev host.routed master routed
ip -n ways.switch link add name web.routed address 02:cd:64:64:1a:ed mtu 1500 type veth peer name routed netns web address 02:64:a8:4a:3e:3d mtu 1500
ip -n ways.switch link set dev web.routed master routed
ip -n ways.switch link add name gate.routed address 02:db:a4:c5:17:a8 mtu 1500 type veth peer name routed netns gate address 02:77:49:fd:00:62 mtu 1500
ip -n ways.switch link set dev gate.routed master routed
ip -n ways.switch link add name ways.out.user address 02:67:73:de:41:50 mtu 1500 type veth peer name user netns ways.out address 02:22:34:e0:34:ab mtu 1500
ip -n ways.switch link set dev ways.out.user master user
ip -n ways.switch link add name app.user address 02:3e:e7:2e:ac:55 mtu 1500 type veth peer name user netns app address 02:00:54:9c:69:db mtu 1500
ip -n ways.switch link set dev app.user master user
ip -n ways.switch link add name host.docker0 address 02:1e:4e:2a:0c:7d mtu 1500 type veth peer name docker0.ways netns $$ address 02:7b:bf:df:96:53 mtu 1500
ip -n ways.switch link set dev host.docker0 master docker0
ip -n ways.switch link add name gate.docker0 address 02:b1:e4:55:91:f9 mtu 1500 type veth peer name docker0 netns gate address 02:e0:d6:57:19:06 mtu 1500
ip -n ways.switch link set dev gate.docker0 master docker0
ip link set dev br-nat alias netloom:ways
ip addr add fe80::e0:ddff:fefb:777b/64 dev br-nat nodad
ip link set dev br-nat up
ip addr add 10.100.0.1/24 dev br-nat
ip addr add fd00:100::1/64 dev br-nat nodad
ip link set dev web.nat alias 'netloom:ways to web:nat' addrgenmode none
ip link set dev web.nat up
ip link set dev eth1 alias 'netloom:ways to ways.switch:host.eth1' addrgenmode none
ip link set dev eth1 up
ip addr add 10.101.0.1/24 dev eth1
ip link set dev routed alias 'netloom:ways to ways.switch:host.routed'
ip addr add fe80::d5:b3ff:fec7:908f/64 dev routed nodad
ip link set dev routed up
ip addr add 10.102.0.1/24 dev routed
ip addr add 2001:db8:102::1/64 dev routed nodad
ip link set dev docker0.ways alias 'netloom:ways to ways.switch:host.docker0'
ip addr add fe80::7b:bfff:fedf:9653/64 dev docker0.ways nodad
ip link set dev docker0.ways up
ip addr add 10.64.1.1/24 dev docker0.ways
ip addr add fd6e:6574:6c6f::1/64 dev docker0.ways nodad
sysctl -qw net.ipv4.conf.br-nat.forwarding=1
sysctl -qw net.ipv4.conf.br-nat.route_localnet=1
sysctl -qw net.ipv4.conf.docker0/ways.forwarding=1
sysctl -qw net.ipv4.conf.docker0/ways.route_localnet=1
sysctl -qw net.ipv4.conf.eth1.forwarding=1
sysctl -qw net.ipv4.conf.eth1.route_localnet=1
sysctl -qw net.ipv4.conf.routed.forwarding=1
sysctl -qw net.ipv4.conf.routed.route_localnet=1
sysctl -qw net.ipv6.conf.br-nat.accept_ra=0
sysctl -qw net.ipv6.conf.docker0/ways.accept_ra=0
sysctl -qw net.ipv6.conf.eth1.accept_ra=0
sysctl -qw net.ipv6.conf.routed.accept_ra=0
ip netns exec ways.out nft -f - <<'END-OF-RULES'
table inet netloom-ways {}
delete table inet netloom-ways
table inet netloom-ways {
comment "netloom:ways"
	chain guard {
		type filter hook forward priority filter - 5; policy accept;
		iifname "uplink" oifname "uplink" drop
		iifname "user" ct state { invalid, untracked } drop
		iifname "user" ct state established,related accept
		oifname "user" ct state established,related accept
		iifname "user" oifname "uplink" accept
		oifname "user" ct status dnat accept
		iifname "user" ct status dnat accept
		iifname "user" drop
		oifname "user" drop
	}
	chain clamp {
		type filter hook forward priority mangle; policy accept;
		iifname "user" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		oifname "user" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
	}
	chain hide {
		type nat hook postrouting priority srcnat; policy accept;
		iifname "user" oifname "uplink" masquerade
		meta nfproto ipv4 iifname "user" oifname "user" ct status dnat masquerade
		ip saddr 127.0.0.0/8 oifname "user" masquerade
		meta nfproto ipv6 iifname "user" oifname "user" ct status dnat masquerade
	}
	chain localnet {
		type filter hook prerouting priority raw; policy accept;
		iifname "user" ip daddr 127.0.0.0/8 drop
	}
	chain publish {
		type nat hook prerouting priority dstnat; policy accept;
		meta nfproto ipv4 fib daddr type local tcp dport 9000 dnat ip to 10.103.0.2:90
		meta nfproto ipv6 fib daddr type local ip6 daddr != ::1 tcp dport 9000 dnat ip6 to [fd00:103::2]:90
		meta nfproto ipv4 fib daddr type local udp dport 9001 dnat ip to 10.103.0.2:90
		meta nfproto ipv6 fib daddr type local ip6 daddr != ::1 udp dport 9001 dnat ip6 to [fd00:103::2]:90
		iifname "uplink" ip6 daddr fe80::/64 tcp dport 9000 dnat ip6 to [fd00:103::2]:90
	}
	chain publish-here {
		type nat hook output priority -100; policy accept;
		meta nfproto ipv4 fib daddr type local tcp dport 9000 dnat ip to 10.103.0.2:90
		meta nfproto ipv6 fib daddr type local ip6 daddr != ::1 tcp dport 9000 dnat ip6 to [fd00:103::2]:90
		meta nfproto ipv4 fib daddr type local udp dport 9001 dnat ip to 10.103.0.2:90
		meta nfproto ipv6 fib daddr type local ip6 daddr != ::1 udp dport 9001 dnat ip6 to [fd00:103::2]:90
	}
	chain from-host {
		type filter hook prerouting priority raw; policy accept;
		iifname "uplink" ip6 saddr fe80::/64 meta l4proto 6 ip6 saddr set ip6 saddr & ::ffff:ffff:ffff:ffff | 64:ff9b:1::
	}
	chain to-host {
		type filter hook postrouting priority srcnat + 1; policy accept;
		oifname "uplink" ip6 daddr 64:ff9b:1::/64 ip6 daddr set ip6 daddr & ::ffff:ffff:ffff:ffff | fe80::
	}
}
END-OF-RULES
ip -n ways.out link set dev user alias 'netloom:ways to ways.switch:ways.out.user'
ip -n ways.out addr add fe80::22:34ff:fee0:34ab/64 dev user nodad
ip -n ways.out link set dev user up
ip -n ways.out addr add 10.103.0.1/24 dev user
ip -n ways.out addr add fd00:103::1/64 dev user nodad
ip netns exec ways.out sysctl -qw net.ipv4.conf.user.route_localnet=1
ip -n ways.switch link set dev eth1 alias netloom:ways
ip -n ways.switch link set dev eth1 up
ip -n ways.switch link set dev host.eth1 alias 'netloom:ways to host:eth1'
ip -n ways.switch link set dev host.eth1 up
ip -n ways.switch link set dev db.eth1 alias 'netloom:ways to db:eth1'
ip -n ways.switch link set dev db.eth1 up
ip -n ways.switch link set dev routed alias netloom:ways
ip -n ways.switch link set dev routed up
ip -n ways.switch link set dev host.routed alias 'netloom:ways to host:routed'
ip -n ways.switch link set dev host.routed up
ip -n ways.switch link set dev web.routed alias 'netloom:ways to web:routed'
ip -n ways.switch link set dev web.routed up
ip -n ways.switch link set dev gate.routed alias 'netloom:ways to gate:routed'
ip -n ways.switch link set dev gate.routed up
ip -n ways.switch link set dev user alias netloom:ways
ip -n ways.switch link set dev user up
ip -n ways.switch link set dev ways.out.user alias 'netloom:ways to ways.out:user'
ip -n ways.switch link set dev ways.out.user up
ip -n ways.switch link set dev app.user alias 'netloom:ways to app:user'
ip -n ways.switch link set dev app.user up
ip -n ways.switch link set dev docker0 alias netloom:ways
ip -n ways.switch link set dev docker0 up
ip -n ways.switch link set dev host.docker0 alias 'netloom:ways to host:docker0.ways'
ip -n ways.switch link set dev host.docker0 up
ip -n ways.switch link set dev gate.docker0 alias 'netloom:ways to gate:docker0'
ip -n ways.switch link set dev gate.docker0 up
ip -n web link set dev nat alias 'netloom:ways to host:web.nat'
ip -n web addr add fe80::da:97ff:fe14:38b3/64 dev nat nodad
ip -n web link set dev nat up
ip -n web addr add 10.100.0.80/24 dev nat
ip -n web addr add fd00:100::80/64 dev nat nodad
ip -n web link set dev routed alias 'netloom:ways to ways.switch:web.routed'
ip -n web addr add fe80::64:a8ff:fe4a:3e3d/64 dev routed nodad
ip -n web link set dev routed up
ip -n web addr add 10.102.0.2/24 dev routed
ip -n web addr add 2001:db8:102::2/64 dev routed nodad
ip -n web -4 route add default via 10.102.0.254 dev routed proto static
ip -n web -6 route add default via 2001:db8:102::fe dev routed proto static
[ ! -L /etc/netns/web ] || rm /etc/netns/web
mkdir -p $(dirname /etc/netns/web/hosts); rm -f /etc/netns/web/hosts
cat >/etc/netns/web/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.100.0.80	web
10.102.0.2	web
fd00:100::80	web
2001:db8:102::2	web
10.101.0.2	db
10.102.0.254	gate
2001:db8:102::fe	gate
10.103.0.2	app
fd00:103::2	app
10.100.0.1	host
10.102.0.1	host
fd00:100::1	host
2001:db8:102::1	host
END-OF-FILE
mkdir -p $(dirname /etc/netns/web/resolv.conf); rm -f /etc/netns/web/resolv.conf
cat >/etc/netns/web/resolv.conf <<'END-OF-FILE'
nameserver 192.0.2.53
END-OF-FILE
ip -n db link set dev eth1 alias 'netloom:ways to ways.switch:db.eth1' addrgenmode none
ip -n db link set dev eth1 up
ip -n db addr add 10.101.0.2/24 dev eth1
ip -n db -4 route add default via 10.101.0.1 dev eth1 proto static
[ ! -L /etc/netns/db ] || rm /etc/netns/db
mkdir -p $(dirname /etc/netns/db/hosts); rm -f /etc/netns/db/hosts
cat >/etc/netns/db/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.100.0.80	web
10.102.0.2	web
fd00:100::80	web
2001:db8:102::2	web
10.101.0.2	db
10.102.0.254	gate
10.64.1.2	gate
2001:db8:102::fe	gate
fd6e:6574:6c6f::2	gate
10.103.0.2	app
fd00:103::2	app
10.101.0.1	host
fd00:100::1	host
2001:db8:102::1	host
fd6e:6574:6c6f::1	host
END-OF-FILE
mkdir -p $(dirname /etc/netns/db/resolv.conf); rm -f /etc/netns/db/resolv.conf
cat >/etc/netns/db/resolv.conf <<'END-OF-FILE'
nameserver 9.9.9.9
END-OF-FILE
ip -n gate link set dev routed alias 'netloom:ways to ways.switch:gate.routed'
ip -n gate addr add fe80::77:49ff:fefd:62/64 dev routed nodad
ip -n gate link set dev routed up
ip -n gate addr add 10.102.0.254/24 dev routed
ip -n gate addr add 2001:db8:102::fe/64 dev routed nodad
ip -n gate link set dev docker0 alias 'netloom:ways to ways.switch:gate.docker0'
ip -n gate addr add fe80::e0:d6ff:fe57:1906/64 dev docker0 nodad
ip -n gate link set dev docker0 up
ip -n gate addr add 10.64.1.2/24 dev docker0
ip -n gate addr add fd6e:6574:6c6f::2/64 dev docker0 nodad
ip -n gate -4 route add default via 10.64.1.1 dev docker0 proto static
ip -n gate -6 route add default via fd6e:6574:6c6f::1 dev docker0 proto static
[ ! -L /etc/netns/gate ] || rm /etc/netns/gate
mkdir -p $(dirname /etc/netns/gate/hosts); rm -f /etc/netns/gate/hosts
cat >/etc/netns/gate/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.102.0.2	web
2001:db8:102::2	web
10.101.0.2	db
10.102.0.254	gate
10.64.1.2	gate
2001:db8:102::fe	gate
fd6e:6574:6c6f::2	gate
10.103.0.2	app
fd00:103::2	app
10.102.0.1	host
10.64.1.1	host
2001:db8:102::1	host
fd6e:6574:6c6f::1	host
END-OF-FILE
mkdir -p $(dirname /etc/netns/gate/resolv.conf); rm -f /etc/netns/gate/resolv.conf
cat >/etc/netns/gate/resolv.conf <<'END-OF-FILE'
nameserver 192.0.2.53
END-OF-FILE
ip -n app link set dev user alias 'netloom:ways to ways.switch:app.user'
ip -n app addr add fe80::54ff:fe9c:69db/64 dev user nodad
ip -n app link set dev user up
ip -n app addr add 10.103.0.2/24 dev user
ip -n app addr add fd00:103::2/64 dev user nodad
ip -n app -4 route add default via 10.103.0.1 dev user proto static
ip -n app -6 route add default via fd00:103::1 dev user proto static
[ ! -L /etc/netns/app ] || rm /etc/netns/app
mkdir -p $(dirname /etc/netns/app/hosts); rm -f /etc/netns/app/hosts
cat >/etc/netns/app/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.100.0.80	web
10.102.0.2	web
fd00:100::80	web
2001:db8:102::2	web
10.101.0.2	db
10.102.0.254	gate
10.64.1.2	gate
2001:db8:102::fe	gate
fd6e:6574:6c6f::2	gate
10.103.0.2	app
fd00:103::2	app
10.100.0.1	host
10.101.0.1	host
10.102.0.1	host
10.64.1.1	host
fd00:100::1	host
2001:db8:102::1	host
fd6e:6574:6c6f::1	host
END-OF-FILE
mkdir -p $(dirname /etc/netns/app/resolv.conf); rm -f /etc/netns/app/resolv.conf
cat >/etc/netns/app/resolv.conf <<'END-OF-FILE'
nameserver 10.100.0.80
nameserver 192.0.2.53
END-OF-FILE
sysctl -qw net.ipv6.conf.eth0.accept_ra=2
sysctl -qw net.ipv6.conf.wlan0/7.accept_ra=2
sysctl -qw net.ipv4.conf.eth0.forwarding=1
sysctl -qw net.ipv4.conf.wlan0/7.forwarding=1
sysctl -qw net.ipv6.conf.all.forwarding=1
(cd / && exec /usr/bin/pasta --runas 0 --config-net --foreground --no-map-gw --netns /run/netns/ways.out --ns-ifname uplink -T none -U none --interface eth0 -t 9000 -u 9001) </dev/null &
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/web/hosts /etc/netns/web/resolv.conf /etc/netns/db/hosts /etc/netns/db/resolv.conf /etc/netns/gate/hosts /etc/netns/gate/resolv.conf /etc/netns/app/hosts /etc/netns/app/resolv.conf
# rmdir --ignore-fail-on-non-empty /etc/netns/web /etc/netns/db /etc/netns/gate /etc/netns/app /etc/netns

# note: the host's default route leads out of `eth0`, and `eth1` may leave by `wlan0.7` alone: it reaches what the host reaches there
# passes: ForwardNeed(lab='ways', link='br-nat', uplink='eth0', subnets=('10.100.0.0/24', 'fd00:100::/64'), published=(DnatTarget(ip='10.100.0.80', proto='tcp', port=80), DnatTarget(ip='fd00:100::80', proto='tcp', port=80), DnatTarget(ip='10.100.0.80', proto='tcp', port=443), DnatTarget(ip='10.100.0.80', proto='udp', port=5353), DnatTarget(ip='fd00:100::80', proto='udp', port=5353), DnatTarget(ip='fd00:100::80', proto='tcp', port=81)), services=(Service(proto='udp', number=53), Service(proto='tcp', number=53)))
# passes: ForwardNeed(lab='ways', link='eth1', uplink='wlan0.7', subnets=('10.101.0.0/24',), published=(DnatTarget(ip='10.101.0.2', proto='tcp', port=5432),), services=(Service(proto='udp', number=53), Service(proto='tcp', number=53)))
# passes: ForwardNeed(lab='ways', link='routed', uplink='eth0', subnets=('10.102.0.0/24', '2001:db8:102::/64'), published=(), services=(Service(proto='udp', number=53), Service(proto='tcp', number=53)))
# passes: ForwardNeed(lab='ways', link='docker0.ways', uplink='eth0', subnets=('10.64.1.0/24', 'fd6e:6574:6c6f::/64'), published=(), services=(Service(proto='udp', number=53), Service(proto='tcp', number=53)))
# passes: BridgeNeed(lab='ways', bridge='br-nat', addresses=())
