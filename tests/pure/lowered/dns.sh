#!/bin/sh
set -e
ip netns add dns.switch
ip -n dns.switch link set lo up alias netloom:dns/dns.switch
ip netns exec dns.switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip netns add samplens
ip -n samplens link set lo up alias netloom:dns/samplens
ip netns add other
ip -n other link set lo up alias netloom:dns/other
nft -f - <<'END-OF-RULES'
table inet netloom-dns {}
delete table inet netloom-dns
table inet netloom-dns {
comment "netloom:dns"
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
ip -n dns.switch link add name lan address 02:ee:68:f9:42:f8 mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n dns.switch link set dev lan mtu 1500
ip -n dns.switch link add name host.lan address 02:6c:36:d5:17:bc mtu 1500 type veth peer name lan netns $$ address 02:d7:81:b6:f9:07 mtu 1500
ip -n dns.switch link set dev host.lan master lan
ip -n dns.switch link add name samplens.lan address 02:06:ac:24:ca:09 mtu 1500 type veth peer name lan netns samplens address 02:05:f9:c7:49:7e mtu 1500
ip -n dns.switch link set dev samplens.lan master lan
ip -n dns.switch link add name other.lan address 02:4c:67:84:14:b4 mtu 1500 type veth peer name lan netns other address 02:8b:6e:a9:e3:9a mtu 1500
ip -n dns.switch link set dev other.lan master lan
ip link set dev lan alias 'netloom:dns to dns.switch:host.lan' addrgenmode none
ip link set dev lan up
ip addr add 10.20.0.1/24 dev lan
sysctl -qw net.ipv4.conf.lan.forwarding=1
sysctl -qw net.ipv6.conf.lan.accept_ra=0
ip -n dns.switch link set dev lan alias netloom:dns
ip -n dns.switch link set dev lan up
ip -n dns.switch link set dev host.lan alias 'netloom:dns to host:lan'
ip -n dns.switch link set dev host.lan up
ip -n dns.switch link set dev samplens.lan alias 'netloom:dns to samplens:lan'
ip -n dns.switch link set dev samplens.lan up
ip -n dns.switch link set dev other.lan alias 'netloom:dns to other:lan'
ip -n dns.switch link set dev other.lan up
ip -n samplens link set dev lan alias 'netloom:dns to dns.switch:samplens.lan' addrgenmode none
ip -n samplens link set dev lan up
ip -n samplens addr add 10.20.0.2/24 dev lan
ip -n samplens -4 route add default via 10.20.0.1 dev lan proto static
[ ! -L /etc/netns/samplens ] || rm /etc/netns/samplens
mkdir -p $(dirname /etc/netns/samplens/hosts); rm -f /etc/netns/samplens/hosts
cat >/etc/netns/samplens/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
192.168.1.201	printer
10.20.0.2	samplens
10.20.0.3	other
10.20.0.1	host
END-OF-FILE
mkdir -p $(dirname /etc/netns/samplens/motd); rm -f /etc/netns/samplens/motd
cat >/etc/netns/samplens/motd <<'END-OF-FILE'
you are in samplens
END-OF-FILE
mkdir -p $(dirname /etc/netns/samplens/resolv.conf); rm -f /etc/netns/samplens/resolv.conf
cat >/etc/netns/samplens/resolv.conf <<'END-OF-FILE'
nameserver 9.9.9.9
END-OF-FILE
ip -n other link set dev lan alias 'netloom:dns to dns.switch:other.lan' addrgenmode none
ip -n other link set dev lan up
ip -n other addr add 10.20.0.3/24 dev lan
ip -n other -4 route add default via 10.20.0.1 dev lan proto static
[ ! -L /etc/netns/other ] || rm /etc/netns/other
mkdir -p $(dirname /etc/netns/other/hosts); rm -f /etc/netns/other/hosts
cat >/etc/netns/other/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.20.0.2	samplens
10.20.0.3	other
10.20.0.1	host
END-OF-FILE
mkdir -p $(dirname /etc/netns/other/resolv.conf); rm -f /etc/netns/other/resolv.conf
cat >/etc/netns/other/resolv.conf <<'END-OF-FILE'
nameserver 192.0.2.53
END-OF-FILE
sysctl -qw net.ipv4.conf.eth0.forwarding=1
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/samplens/hosts /etc/netns/samplens/motd /etc/netns/samplens/resolv.conf /etc/netns/other/hosts /etc/netns/other/resolv.conf
# rmdir --ignore-fail-on-non-empty /etc/netns/samplens /etc/netns/other /etc/netns

# passes: ForwardNeed(lab='dns', link='lan', uplink='eth0', subnets=('10.20.0.0/24',), published=(), services=(Service(proto='udp', number=53), Service(proto='tcp', number=53)))
