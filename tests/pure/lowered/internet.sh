#!/bin/sh
set -e
ip netns add internet.switch
ip -n internet.switch link set lo up alias netloom:internet/internet.switch
ip netns exec internet.switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip netns add red
ip -n red link set lo up alias netloom:internet/red
ip netns add blue
ip -n blue link set lo up alias netloom:internet/blue
nft -f - <<'END-OF-RULES'
table inet netloom-internet {}
delete table inet netloom-internet
table inet netloom-internet {
comment "netloom:internet"
	chain guard {
		type filter hook forward priority filter - 5; policy accept;
		iifname "lan" ct state { invalid, untracked } drop
		iifname "lan" ct state established,related accept
		oifname "lan" ct state established,related accept
		iifname "lan" oifname "eth0" accept
		iifname "lan" ct status dnat accept
		iifname "lan" drop
		oifname "lan" drop
		iifname "docker0" oifname "docker0" accept
		iifname "virbr0" oifname "virbr0" accept
		meta nfproto ipv4 iifname "eth0" oifname { "docker0", "eth0", "virbr0", "wlan0.7" } drop
	}
	chain clamp {
		type filter hook forward priority mangle; policy accept;
		iifname "lan" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
		oifname "lan" tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu
	}
	chain hide {
		type nat hook postrouting priority srcnat; policy accept;
		iifname "lan" oifname "eth0" masquerade
	}
}
END-OF-RULES
ip -n internet.switch link add name lan address 02:d7:c2:19:82:10 mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n internet.switch link set dev lan mtu 1500
ip -n internet.switch link add name host.lan address 02:0a:6a:d7:35:71 mtu 1500 type veth peer name lan netns $$ address 02:65:11:22:62:d7 mtu 1500
ip -n internet.switch link set dev host.lan master lan
ip -n internet.switch link add name red.lan address 02:09:92:1e:82:f9 mtu 1500 type veth peer name lan netns red address 02:6f:f9:ea:83:97 mtu 1500
ip -n internet.switch link set dev red.lan master lan
ip -n internet.switch link add name blue.lan address 02:94:b8:84:80:7b mtu 1500 type veth peer name lan netns blue address 02:03:9d:93:71:b9 mtu 1500
ip -n internet.switch link set dev blue.lan master lan
ip link set dev lan alias 'netloom:internet to internet.switch:host.lan' addrgenmode none
ip link set dev lan up
ip addr add 10.10.0.1/24 dev lan
sysctl -qw net.ipv4.conf.lan.forwarding=1
sysctl -qw net.ipv6.conf.lan.accept_ra=0
ip -n internet.switch link set dev lan alias netloom:internet
ip -n internet.switch link set dev lan up
ip -n internet.switch link set dev host.lan alias 'netloom:internet to host:lan'
ip -n internet.switch link set dev host.lan up
ip -n internet.switch link set dev red.lan alias 'netloom:internet to red:lan'
ip -n internet.switch link set dev red.lan up
ip -n internet.switch link set dev blue.lan alias 'netloom:internet to blue:lan'
ip -n internet.switch link set dev blue.lan up
ip -n red link set dev lan alias 'netloom:internet to internet.switch:red.lan' addrgenmode none
ip -n red link set dev lan up
ip -n red addr add 10.10.0.2/24 dev lan
ip -n red -4 route add default via 10.10.0.1 dev lan proto static
[ ! -L /etc/netns/red ] || rm /etc/netns/red
mkdir -p $(dirname /etc/netns/red/hosts); rm -f /etc/netns/red/hosts
cat >/etc/netns/red/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.10.0.2	red
10.10.0.3	blue
10.10.0.1	host
END-OF-FILE
mkdir -p $(dirname /etc/netns/red/resolv.conf); rm -f /etc/netns/red/resolv.conf
cat >/etc/netns/red/resolv.conf <<'END-OF-FILE'
nameserver 192.0.2.53
END-OF-FILE
ip -n blue link set dev lan alias 'netloom:internet to internet.switch:blue.lan' addrgenmode none
ip -n blue link set dev lan up
ip -n blue addr add 10.10.0.3/24 dev lan
ip -n blue -4 route add default via 10.10.0.1 dev lan proto static
[ ! -L /etc/netns/blue ] || rm /etc/netns/blue
mkdir -p $(dirname /etc/netns/blue/hosts); rm -f /etc/netns/blue/hosts
cat >/etc/netns/blue/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.10.0.2	red
10.10.0.3	blue
10.10.0.1	host
END-OF-FILE
mkdir -p $(dirname /etc/netns/blue/resolv.conf); rm -f /etc/netns/blue/resolv.conf
cat >/etc/netns/blue/resolv.conf <<'END-OF-FILE'
nameserver 192.0.2.53
END-OF-FILE
sysctl -qw net.ipv4.conf.eth0.forwarding=1
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/red/hosts /etc/netns/red/resolv.conf /etc/netns/blue/hosts /etc/netns/blue/resolv.conf
# rmdir --ignore-fail-on-non-empty /etc/netns/red /etc/netns/blue /etc/netns

# passes: ForwardNeed(lab='internet', link='lan', uplink='eth0', subnets=('10.10.0.0/24',), published=(), services=(Service(proto='udp', number=53), Service(proto='tcp', number=53)))
