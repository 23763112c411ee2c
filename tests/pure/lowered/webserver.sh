#!/bin/sh
set -e
ip netns add webserver.switch
ip -n webserver.switch link set lo up alias netloom:webserver/webserver.switch
ip netns exec webserver.switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip netns add webserver
ip -n webserver link set lo up alias netloom:webserver/webserver
nft -f - <<'END-OF-RULES'
table inet netloom-webserver {}
delete table inet netloom-webserver
table inet netloom-webserver {
comment "netloom:webserver"
	chain guard {
		type filter hook forward priority filter - 5; policy accept;
		iifname "internal" ct state { invalid, untracked } drop
		iifname "internal" ct state established,related accept
		oifname "internal" ct state established,related accept
		iifname "internal" oifname "eth0" accept
		oifname "internal" ct status dnat accept
		iifname "internal" ct status dnat accept
		iifname "internal" drop
		oifname "internal" drop
		iifname "docker0" oifname "docker0" accept
		iifname "virbr0" oifname "virbr0" accept
		meta nfproto ipv4 iifname "eth0" oifname { "docker0", "eth0", "virbr0", "wlan0.7" } drop
	}
	chain clamp {
		type filter hook forward priority mangle; policy accept;
		iifname "internal" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		oifname "internal" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
	}
	chain hide {
		type nat hook postrouting priority srcnat; policy accept;
		iifname "internal" oifname "eth0" masquerade
		meta nfproto ipv4 iifname "internal" oifname "internal" ct status dnat masquerade
		ip saddr 127.0.0.0/8 oifname "internal" masquerade
		meta nfproto ipv6 oifname "internal" ct status dnat masquerade
	}
	chain localnet {
		type filter hook prerouting priority raw; policy accept;
		iifname "internal" ip daddr 127.0.0.0/8 drop
	}
	chain publish {
		type nat hook prerouting priority dstnat; policy accept;
		meta nfproto ipv4 fib daddr type local tcp dport 8080 dnat ip to 10.100.0.2:80
	}
	chain publish-here {
		type nat hook output priority -100; policy accept;
		meta nfproto ipv4 fib daddr type local tcp dport 8080 dnat ip to 10.100.0.2:80
	}
}
END-OF-RULES
ip -n webserver.switch link add name internal address 02:52:e0:3f:72:1c mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n webserver.switch link set dev internal mtu 1500
ip -n webserver.switch link add name host.internal address 02:dc:3d:84:d7:e4 mtu 1500 type veth peer name internal netns $$ address 02:2c:35:d7:90:66 mtu 1500
ip -n webserver.switch link set dev host.internal master internal
ip -n webserver.switch link add name webserve-29cecc address 02:07:be:14:d3:74 mtu 1500 type veth peer name internal netns webserver address 02:52:2b:51:a0:0f mtu 1500
ip -n webserver.switch link set dev webserve-29cecc master internal
ip link set dev internal alias 'netloom:webserver to webserver.switch:host.internal' addrgenmode none
ip link set dev internal up
ip addr add 10.100.0.1/24 dev internal
sysctl -qw net.ipv4.conf.internal.forwarding=1
sysctl -qw net.ipv4.conf.internal.route_localnet=1
sysctl -qw net.ipv6.conf.internal.accept_ra=0
ip -n webserver.switch link set dev internal alias netloom:webserver
ip -n webserver.switch link set dev internal up
ip -n webserver.switch link set dev host.internal alias 'netloom:webserver to host:internal'
ip -n webserver.switch link set dev host.internal up
ip -n webserver.switch link set dev webserve-29cecc alias 'netloom:webserver to webserver:internal'
ip -n webserver.switch link set dev webserve-29cecc up
ip -n webserver link set dev internal alias 'netloom:webserver to webserver.switch:webserve-29cecc' addrgenmode none
ip -n webserver link set dev internal up
ip -n webserver addr add 10.100.0.2/24 dev internal
ip -n webserver -4 route add default via 10.100.0.1 dev internal proto static
[ ! -L /etc/netns/webserver ] || rm /etc/netns/webserver
mkdir -p $(dirname /etc/netns/webserver/hosts); rm -f /etc/netns/webserver/hosts
cat >/etc/netns/webserver/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.100.0.2	webserver
10.100.0.1	host
END-OF-FILE
mkdir -p $(dirname /etc/netns/webserver/resolv.conf); rm -f /etc/netns/webserver/resolv.conf
cat >/etc/netns/webserver/resolv.conf <<'END-OF-FILE'
nameserver 192.0.2.53
END-OF-FILE
sysctl -qw net.ipv4.conf.eth0.forwarding=1
(cd /srv && exec ip netns exec webserver sh -c 'python3 -m http.server 80') </dev/null &
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/webserver/hosts /etc/netns/webserver/resolv.conf
# rmdir --ignore-fail-on-non-empty /etc/netns/webserver /etc/netns

# passes: ForwardNeed(lab='webserver', link='internal', uplink='eth0', subnets=('10.100.0.0/24',), published=(DnatTarget(ip='10.100.0.2', proto='tcp', port=80),), services=(Service(proto='udp', number=53), Service(proto='tcp', number=53)))
