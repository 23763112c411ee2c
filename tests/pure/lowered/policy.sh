#!/bin/sh
set -e
ip netns add policy.switch
ip -n policy.switch link set lo up alias netloom:policy/policy.switch
ip netns exec policy.switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip netns add r
ip -n r link set lo up alias netloom:policy/r
ip netns exec r sysctl -qw net.ipv4.ip_forward=1
ip netns exec r sysctl -qw net.ipv6.conf.all.forwarding=1
ip netns exec r sysctl -qw 'net.ipv4.tcp_rmem=4096 131072 6291456'
ip netns add a1
ip -n a1 link set lo up alias netloom:policy/a1
ip netns exec a1 sysctl -qw net.ipv4.ip_forward=0
ip netns exec a1 sysctl -qw net.ipv6.conf.all.forwarding=0
ip netns add a2
ip -n a2 link set lo up alias netloom:policy/a2
ip netns exec a2 sysctl -qw net.ipv4.ip_forward=0
ip netns exec a2 sysctl -qw net.ipv6.conf.all.forwarding=0
ip netns add alone
ip -n alone link set lo up alias netloom:policy/alone
ip netns exec alone sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip netns add it.is
ip -n it.is link set lo up alias netloom:policy/it.is
ip netns exec it.is sysctl -qw net.ipv4.ip_forward=1
ip netns exec it.is sysctl -qw net.ipv6.conf.all.forwarding=1
ip -n policy.switch link add name lan address 02:51:03:7b:af:b0 mtu 1399 type bridge stp_state 1 mcast_snooping 0
ip -n policy.switch link set dev lan mtu 1400
ip -n policy.switch link add name a-networ-cfd0c3 address 02:4e:68:b2:c1:3d mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n policy.switch link set dev a-networ-cfd0c3 mtu 1500
ip -n policy.switch link add name thin address 02:22:31:9c:c7:98 mtu 1001 type bridge stp_state 0 mcast_snooping 0
ip -n policy.switch link set dev thin mtu 1000
ip link add name y address 02:f0:e9:9a:80:d5 mtu 1200 type veth peer name y netns r address 02:61:ba:44:33:77 mtu 1200
ip -n policy.switch link add name r.lan address 02:4b:d9:b6:16:3a mtu 1400 type veth peer name eth0 netns r address 02:00:00:00:00:fe mtu 1400
ip -n policy.switch link set dev r.lan master lan
ip -n policy.switch link add name a1.lan address 02:b0:4f:e3:46:59 mtu 1400 type veth peer name lan netns a1 address 02:f9:9f:a4:54:a1 mtu 1400
ip -n policy.switch link set dev a1.lan master lan
ip -n policy.switch link add name a2.lan address 02:12:6c:bf:4c:97 mtu 1400 type veth peer name lan netns a2 address 02:51:40:df:0f:ba mtu 1400
ip -n policy.switch link set dev a2.lan master lan
ip -n policy.switch link add name host.lan address 02:aa:a9:51:18:3c mtu 1400 type veth peer name lan netns $$ address 02:45:d2:bd:91:c0 mtu 1400
ip -n policy.switch link set dev host.lan master lan
ip -n policy.switch link add name a1.a-net-7c8f0e address 02:65:de:fa:44:6f mtu 1500 type veth peer name a-networ-cfd0c3 netns a1 address 02:4c:09:80:62:84 mtu 1500
ip -n policy.switch link set dev a1.a-net-7c8f0e master a-networ-cfd0c3
ip -n policy.switch link add name a2.a-net-948f69 address 02:8e:29:bf:3d:6c mtu 1500 type veth peer name a-networ-cfd0c3 netns a2 address 02:14:5a:26:08:de mtu 1500
ip -n policy.switch link set dev a2.a-net-948f69 master a-networ-cfd0c3
ip -n policy.switch link add name r.thin address 02:53:52:53:00:46 mtu 1000 type veth peer name thin netns r address 02:c2:97:8c:6c:12 mtu 1000
ip -n policy.switch link set dev r.thin master thin
ip -n policy.switch link add name it.is.thin address 02:78:28:5c:0f:26 mtu 1000 type veth peer name thin netns it.is address 02:5e:0d:5d:71:98 mtu 1000
ip -n policy.switch link set dev it.is.thin master thin
ip -n r link add name w address 02:35:c1:12:2a:f8 mtu 1500 type veth peer name w netns it.is address 02:84:6f:ea:63:50 mtu 1500
ip -n r link add name x address 02:dd:15:cd:a1:09 mtu 1300 type veth peer name x netns a1 address 02:1e:e2:b6:2b:87 mtu 1500
ip -n a1 link add name alone address 02:cc:67:0d:5c:c3 mtu 1500 type veth peer name a1 netns alone address 02:8a:60:25:b0:86 mtu 1500
ip -n a1 link add name q address 02:e9:28:05:16:88 mtu 1500 type veth peer name q netns alone address 02:60:3e:45:e2:2a mtu 1500
ip -n a2 link add name alone address 02:a9:64:2f:e1:aa mtu 1500 type veth peer name a2 netns alone address 02:c6:2b:1f:18:b1 mtu 1500
ip link set dev lan alias 'netloom:policy to policy.switch:host.lan'
ip addr add fe80::45:d2ff:febd:91c0/64 dev lan nodad
ip link set dev lan up
ip addr add 10.1.0.1/24 dev lan
ip link set dev y alias 'netloom:policy to r:y'
ip link set dev y up
ip -4 route add 10.2.0.0/16 via 10.1.0.254 dev lan proto 110
ip -n policy.switch link set dev lan alias netloom:policy
ip -n policy.switch link set dev lan up
ip -n policy.switch link set dev r.lan alias 'netloom:policy to r:eth0'
ip -n policy.switch link set dev r.lan up
ip -n policy.switch link set dev a1.lan alias 'netloom:policy to a1:lan'
ip -n policy.switch link set dev a1.lan up
ip -n policy.switch link set dev a2.lan alias 'netloom:policy to a2:lan'
ip -n policy.switch link set dev a2.lan up
ip -n policy.switch link set dev host.lan alias 'netloom:policy to host:lan'
ip -n policy.switch link set dev host.lan up
ip -n policy.switch link set dev a-networ-cfd0c3 alias netloom:policy
ip -n policy.switch link set dev a-networ-cfd0c3 up
ip -n policy.switch link set dev a1.a-net-7c8f0e alias 'netloom:policy to a1:a-networ-cfd0c3'
ip -n policy.switch link set dev a1.a-net-7c8f0e up
ip -n policy.switch link set dev a2.a-net-948f69 alias 'netloom:policy to a2:a-networ-cfd0c3'
ip -n policy.switch link set dev a2.a-net-948f69 up
ip -n policy.switch link set dev thin alias netloom:policy
ip -n policy.switch link set dev thin up
ip -n policy.switch link set dev r.thin alias 'netloom:policy to r:thin'
ip -n policy.switch link set dev r.thin up
ip -n policy.switch link set dev it.is.thin alias 'netloom:policy to it.is:thin'
ip -n policy.switch link set dev it.is.thin up
ip -n r addr add 10.255.0.1/32 dev lo
ip -n r addr add 10.255.0.2/32 dev lo
ip -n r addr add fd00:ff::1/128 dev lo nodad
ip -n r link set dev eth0 alias 'netloom:policy to policy.switch:r.lan'
ip -n r addr add fe80::ff:fe00:fe/64 dev eth0 nodad
ip -n r link set dev eth0 up
ip -n r addr add 10.1.0.254/24 dev eth0
ip -n r addr add fd00:1::fe/64 dev eth0 nodad
ip -n r link set dev thin alias 'netloom:policy to policy.switch:r.thin'
ip -n r link set dev thin up
ip -n r addr add 10.3.0.1/24 dev thin
ip -n r link set dev w alias 'netloom:policy to it.is:w'
ip -n r addr add fe80::35:c1ff:fe12:2af8/64 dev w nodad
ip -n r link set dev w up
ip -n r addr add 10.9.0.1/24 dev w
ip -n r addr add 10.9.0.3/25 dev w
ip -n r addr add fd00:9::1/64 dev w nodad
ip -n r link set dev x alias 'netloom:policy to a1:x' addrgenmode none
ip -n r link set dev x up
ip -n r addr add 192.168.0.0/31 dev x
ip -n r link set dev y alias 'netloom:policy to host:y'
ip -n r -4 route add 10.21.0.0/16 dev eth0 table 100 metric 5 proto static scope global
ip -n r -4 route add blackhole 10.25.0.0/16 proto static
ip -n r -4 route add throw 10.26.0.0/16 table 100 proto static
ip -n r -4 route add 10.27.0.0/16 dev eth0 table local proto static scope 254
ip -n r -4 route add 10.28.0.0/16 dev eth0 table default proto static scope 200
ip -n r -6 route add unreachable fd09::/64 proto static
ip -n r -6 route add prohibit fd0a::/64 metric 7 proto static
ip -n r -4 route add default via 10.9.0.2 dev w proto static
ip -n r -4 route add 10.20.0.0/16 proto static nexthop dev eth0 weight 1 nexthop via 10.1.0.8 dev eth0 weight 2
ip -n r -4 route add 10.23.0.0/16 via 203.0.113.1 dev eth0 onlink proto static
ip -n r -4 route add 10.24.0.0/16 via 10.1.0.20 dev eth0 proto static
ip -n r -4 route add 9.9.9.9/32 via 10.1.0.21 dev eth0 proto static
ip -n r -6 route add fd0b::/64 via fd00:1::8 dev eth0 proto static
ip -n r -4 route add 10.22.0.0/16 via 10.1.0.8 dev eth0 src 10.255.0.1 tos 0x10 mtu 1300 advmss 1200 proto static
ip -n r -4 rule add priority 500 from all fwmark 0x7 lookup 200 protocol 4
ip -n r -4 rule add priority 32756 from all lookup default suppress_prefixlength 0 protocol 4
ip -n r -4 rule add priority 32757 from all uidrange 0-10 lookup 100 protocol 4
ip -n r -4 rule add priority 32758 from all ipproto 17 sport 53 dport 53 lookup local protocol 4
ip -n r -4 rule add priority 32759 from all ipproto 6 dport 80-90 lookup 100 protocol 4
ip -n r -4 rule add priority 32760 from all oif lo tos 0x10 unreachable protocol 4
ip -n r -4 rule add priority 32761 from all iif eth0 lookup main protocol 4
ip -n r -4 rule add not priority 32764 from all fwmark 0x1/0xff prohibit protocol 4
ip -n r -4 rule add priority 32765 from 10.1.0.0/24 lookup 100 protocol 4
ip -n r -6 rule add priority 7 from all to fd00:1::/64 blackhole protocol 4
ip netns exec r sysctl -qw net.ipv4.conf.eth0.rp_filter=2
[ ! -L /etc/netns/r ] || rm /etc/netns/r
mkdir -p $(dirname /etc/netns/r/hosts); rm -f /etc/netns/r/hosts
cat >/etc/netns/r/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.1.0.254	r
10.3.0.1	r
10.9.0.1	r
10.9.0.3	r
192.168.0.0	r
fd00:1::fe	r
fd00:9::1	r
10.1.0.20	a1
192.168.0.1	a1
10.1.0.21	a2
10.6.0.2	alone
10.9.0.2	it.is
10.1.0.1	host
9.9.9.9	internet
2620:fe::fe	internet
192.0.2.7	vm
END-OF-FILE
mkdir -p $(dirname /etc/netns/r/resolv.conf); rm -f /etc/netns/r/resolv.conf
cp /etc/resolv.conf /etc/netns/r/resolv.conf
ip -n a1 link set dev lan alias 'netloom:policy to policy.switch:a1.lan'
ip -n a1 addr add fe80::f9:9fff:fea4:54a1/64 dev lan nodad
ip -n a1 link set dev lan up
ip -n a1 addr add 10.1.0.20/24 dev lan
ip -n a1 link set dev a-networ-cfd0c3 alias 'netloom:policy to policy.switch:a1.a-net-7c8f0e' addrgenmode none
ip -n a1 link set dev a-networ-cfd0c3 up
ip -n a1 link property add dev a-networ-cfd0c3 altname a-network-with-a-long-name
ip -n a1 link set dev alone alias 'netloom:policy to alone:a1' addrgenmode none
ip -n a1 link set dev alone up
ip -n a1 link set dev q alias 'netloom:policy to alone:q' addrgenmode none
ip -n a1 link set dev q up
ip -n a1 addr add 10.6.0.1/24 dev q
ip -n a1 link set dev x alias 'netloom:policy to r:x' addrgenmode none
ip -n a1 link set dev x up
ip -n a1 addr add 192.168.0.1/31 dev x
ip -n a1 -4 route add default via 10.1.0.254 dev lan proto static
ip -n a1 -4 route add 10.3.0.0/24 via 10.1.0.254 dev lan proto static
ip -n a1 -4 route add 10.9.0.0/24 via 10.1.0.254 dev lan proto static
ip -n a1 -4 route add 10.9.0.0/25 via 10.1.0.254 dev lan proto static
ip -n a1 -4 rule add priority 32765 from all to 10.1.0.0/24 lookup 100 protocol 4
[ ! -L /etc/netns/a1 ] || rm /etc/netns/a1
mkdir -p $(dirname /etc/netns/a1/hosts); rm -f /etc/netns/a1/hosts
cat >/etc/netns/a1/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.1.0.254	r
192.168.0.0	r
fd00:1::fe	r
10.1.0.20	a1
10.6.0.1	a1
192.168.0.1	a1
10.1.0.21	a2
10.6.0.2	alone
10.9.0.2	it.is
10.1.0.1	host
9.9.9.9	internet
2620:fe::fe	internet
192.0.2.7	vm
END-OF-FILE
mkdir -p $(dirname /etc/netns/a1/resolv.conf); rm -f /etc/netns/a1/resolv.conf
cp /etc/resolv.conf /etc/netns/a1/resolv.conf
ip -n a2 link set dev lan alias 'netloom:policy to policy.switch:a2.lan'
ip -n a2 addr add fe80::51:40ff:fedf:fba/64 dev lan nodad
ip -n a2 link set dev lan up
ip -n a2 addr add 10.1.0.21/24 dev lan
ip -n a2 link set dev a-networ-cfd0c3 alias 'netloom:policy to policy.switch:a2.a-net-948f69' addrgenmode none
ip -n a2 link set dev a-networ-cfd0c3 up
ip -n a2 link property add dev a-networ-cfd0c3 altname a-network-with-a-long-name
ip -n a2 link set dev alone alias 'netloom:policy to alone:a2' addrgenmode none
ip -n a2 link set dev alone up
ip -n a2 -4 route add default via 10.1.0.254 dev lan proto static
ip -n a2 -4 route add 10.3.0.0/24 via 10.1.0.254 dev lan proto static
ip -n a2 -4 route add 10.9.0.0/24 via 10.1.0.254 dev lan proto static
ip -n a2 -4 route add 10.9.0.0/25 via 10.1.0.254 dev lan proto static
ip -n a2 -4 route add 192.168.0.0/31 via 10.1.0.254 dev lan proto static
ip -n a2 -4 rule add priority 32765 from all to 10.1.0.0/24 lookup 100 protocol 4
[ ! -L /etc/netns/a2 ] || rm /etc/netns/a2
mkdir -p $(dirname /etc/netns/a2/hosts); rm -f /etc/netns/a2/hosts
cat >/etc/netns/a2/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.1.0.254	r
fd00:1::fe	r
10.1.0.20	a1
10.1.0.21	a2
10.6.0.2	alone
10.9.0.2	it.is
10.1.0.1	host
9.9.9.9	internet
2620:fe::fe	internet
192.0.2.7	vm
END-OF-FILE
mkdir -p $(dirname /etc/netns/a2/resolv.conf); rm -f /etc/netns/a2/resolv.conf
cp /etc/resolv.conf /etc/netns/a2/resolv.conf
ip -n alone link set dev a1 alias 'netloom:policy to a1:alone'
ip -n alone link set dev a1 up
ip -n alone link set dev a2 alias 'netloom:policy to a2:alone'
ip -n alone link set dev a2 up
ip -n alone link set dev q alias 'netloom:policy to a1:q'
ip -n alone link set dev q up
ip -n alone addr add 10.6.0.2/24 dev q
[ ! -L /etc/netns/alone ] || rm /etc/netns/alone
mkdir -p $(dirname /etc/netns/alone/hosts); rm -f /etc/netns/alone/hosts
cat >/etc/netns/alone/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.1.0.254	r
10.3.0.1	r
10.9.0.1	r
10.9.0.3	r
192.168.0.0	r
10.255.0.1	r
10.255.0.2	r
fd00:1::fe	r
fd00:9::1	r
fd00:ff::1	r
10.6.0.1	a1
10.1.0.21	a2
10.6.0.2	alone
10.9.0.2	it.is
10.1.0.1	host
9.9.9.9	internet
2620:fe::fe	internet
192.0.2.7	vm
END-OF-FILE
mkdir -p $(dirname /etc/netns/alone/resolv.conf); rm -f /etc/netns/alone/resolv.conf
cp /etc/resolv.conf /etc/netns/alone/resolv.conf
ip -n it.is link set dev thin alias 'netloom:policy to policy.switch:it.is.thin'
ip -n it.is link set dev thin up
ip -n it.is link set dev w alias 'netloom:policy to r:w'
ip -n it.is addr add fe80::84:6fff:feea:6350/64 dev w nodad
ip -n it.is link set dev w up
ip -n it.is addr add 10.9.0.2/24 dev w
[ ! -L /etc/netns/it.is ] || rm /etc/netns/it.is
mkdir -p $(dirname /etc/netns/it.is/hosts); rm -f /etc/netns/it.is/hosts
cat >/etc/netns/it.is/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.0.0.9	db.example
fd00::9	db.example
10.3.0.1	r
10.9.0.1	r
10.9.0.3	r
fd00:9::1	r
10.1.0.20	a1
10.6.0.1	a1
192.168.0.1	a1
10.1.0.21	a2
10.6.0.2	alone
10.9.0.2	it.is
10.1.0.1	host
9.9.9.9	internet
2620:fe::fe	internet
192.0.2.7	vm
END-OF-FILE
mkdir -p $(dirname /etc/netns/it.is/resolv.conf); rm -f /etc/netns/it.is/resolv.conf
cp /etc/resolv.conf /etc/netns/it.is/resolv.conf
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/r/hosts /etc/netns/r/resolv.conf /etc/netns/a1/hosts /etc/netns/a1/resolv.conf /etc/netns/a2/hosts /etc/netns/a2/resolv.conf /etc/netns/alone/hosts /etc/netns/alone/resolv.conf /etc/netns/it.is/hosts /etc/netns/it.is/resolv.conf
# rmdir --ignore-fail-on-non-empty /etc/netns/r /etc/netns/a1 /etc/netns/a2 /etc/netns/alone /etc/netns/it.is /etc/netns

