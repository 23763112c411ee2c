#!/bin/sh
set -e
ip netns add r1
ip -n r1 link set lo up alias netloom:routers/r1
ip netns exec r1 sysctl -qw net.ipv4.ip_forward=1
ip netns exec r1 sysctl -qw net.ipv6.conf.all.forwarding=1
ip netns add r2
ip -n r2 link set lo up alias netloom:routers/r2
ip netns exec r2 sysctl -qw net.ipv4.ip_forward=1
ip netns exec r2 sysctl -qw net.ipv6.conf.all.forwarding=1
ip netns add r3
ip -n r3 link set lo up alias netloom:routers/r3
ip netns exec r3 sysctl -qw net.ipv4.ip_forward=1
ip netns exec r3 sysctl -qw net.ipv6.conf.all.forwarding=1
ip netns add h1
ip -n h1 link set lo up alias netloom:routers/h1
ip netns add h3
ip -n h3 link set lo up alias netloom:routers/h3
ip -n r1 link add name r2 address 02:a8:f6:81:fd:4e mtu 1500 type veth peer name r1 netns r2 address 02:8f:10:33:ff:5a mtu 1500
ip -n r1 link add name r3 address 02:9e:95:e1:5b:02 mtu 1500 type veth peer name r1 netns r3 address 02:2b:84:52:08:b4 mtu 1500
ip -n r1 link add name h1 address 02:1f:64:2d:94:17 mtu 1500 type veth peer name r1 netns h1 address 02:94:90:2f:e6:67 mtu 1500
ip -n r2 link add name r3 address 02:a1:87:f6:11:cf mtu 1500 type veth peer name r2 netns r3 address 02:31:e2:9f:86:01 mtu 1500
ip -n r3 link add name h3 address 02:ce:71:6b:ad:77 mtu 1500 type veth peer name r3 netns h3 address 02:25:5a:56:35:98 mtu 1500
ip -n r1 link set dev r2 alias 'netloom:routers to r2:r1'
ip -n r1 addr add fe80::a8:f6ff:fe81:fd4e/64 dev r2 nodad
ip -n r1 link set dev r2 up
ip -n r1 addr add 10.64.1.1/30 dev r2
ip -n r1 addr add fd6e:6574:6c6f::1/126 dev r2 nodad
ip -n r1 link set dev r3 alias 'netloom:routers to r3:r1'
ip -n r1 addr add fe80::9e:95ff:fee1:5b02/64 dev r3 nodad
ip -n r1 link set dev r3 up
ip -n r1 addr add 10.64.1.9/30 dev r3
ip -n r1 addr add fd6e:6574:6c6f::9/126 dev r3 nodad
ip -n r1 link set dev h1 alias 'netloom:routers to h1:r1' addrgenmode none
ip -n r1 link set dev h1 up
ip -n r1 addr add 10.1.0.1/24 dev h1
ip -n r1 -4 route add 10.3.0.0/24 via 10.64.1.10 dev r3 proto static
ip -n r1 -4 route add 10.64.1.4/30 via 10.64.1.2 dev r2 proto static
ip -n r1 -6 route add fd6e:6574:6c6f::4/126 via fd6e:6574:6c6f::2 dev r2 proto static
[ ! -L /etc/netns/r1 ] || rm /etc/netns/r1
mkdir -p $(dirname /etc/netns/r1/hosts); rm -f /etc/netns/r1/hosts
cat >/etc/netns/r1/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.64.1.1	r1
10.64.1.9	r1
10.1.0.1	r1
fd6e:6574:6c6f::1	r1
fd6e:6574:6c6f::9	r1
10.64.1.2	r2
fd6e:6574:6c6f::2	r2
10.64.1.10	r3
fd6e:6574:6c6f::a	r3
10.1.0.2	h1
10.3.0.2	h3
END-OF-FILE
ip -n r2 link set dev r1 alias 'netloom:routers to r1:r2'
ip -n r2 addr add fe80::8f:10ff:fe33:ff5a/64 dev r1 nodad
ip -n r2 link set dev r1 up
ip -n r2 addr add 10.64.1.2/30 dev r1
ip -n r2 addr add fd6e:6574:6c6f::2/126 dev r1 nodad
ip -n r2 link set dev r3 alias 'netloom:routers to r3:r2'
ip -n r2 addr add fe80::a1:87ff:fef6:11cf/64 dev r3 nodad
ip -n r2 link set dev r3 up
ip -n r2 addr add 10.64.1.5/30 dev r3
ip -n r2 addr add fd6e:6574:6c6f::5/126 dev r3 nodad
ip -n r2 -4 route add 10.1.0.0/24 via 10.64.1.1 dev r1 proto static
ip -n r2 -4 route add 10.3.0.0/24 via 10.64.1.6 dev r3 proto static
ip -n r2 -4 route add 10.64.1.8/30 via 10.64.1.1 dev r1 proto static
ip -n r2 -6 route add fd6e:6574:6c6f::8/126 via fd6e:6574:6c6f::1 dev r1 proto static
[ ! -L /etc/netns/r2 ] || rm /etc/netns/r2
mkdir -p $(dirname /etc/netns/r2/hosts); rm -f /etc/netns/r2/hosts
cat >/etc/netns/r2/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.64.1.1	r1
fd6e:6574:6c6f::1	r1
10.64.1.2	r2
10.64.1.5	r2
fd6e:6574:6c6f::2	r2
fd6e:6574:6c6f::5	r2
10.64.1.6	r3
fd6e:6574:6c6f::6	r3
10.1.0.2	h1
10.3.0.2	h3
END-OF-FILE
ip -n r3 link set dev r2 alias 'netloom:routers to r2:r3'
ip -n r3 addr add fe80::31:e2ff:fe9f:8601/64 dev r2 nodad
ip -n r3 link set dev r2 up
ip -n r3 addr add 10.64.1.6/30 dev r2
ip -n r3 addr add fd6e:6574:6c6f::6/126 dev r2 nodad
ip -n r3 link set dev r1 alias 'netloom:routers to r1:r3'
ip -n r3 addr add fe80::2b:84ff:fe52:8b4/64 dev r1 nodad
ip -n r3 link set dev r1 up
ip -n r3 addr add 10.64.1.10/30 dev r1
ip -n r3 addr add fd6e:6574:6c6f::a/126 dev r1 nodad
ip -n r3 link set dev h3 alias 'netloom:routers to h3:r3' addrgenmode none
ip -n r3 link set dev h3 up
ip -n r3 addr add 10.3.0.1/24 dev h3
ip -n r3 -4 route add 10.1.0.0/24 via 10.64.1.9 dev r1 proto static
ip -n r3 -4 route add 10.64.1.0/30 via 10.64.1.9 dev r1 proto static
ip -n r3 -6 route add fd6e:6574:6c6f::/126 via fd6e:6574:6c6f::9 dev r1 proto static
[ ! -L /etc/netns/r3 ] || rm /etc/netns/r3
mkdir -p $(dirname /etc/netns/r3/hosts); rm -f /etc/netns/r3/hosts
cat >/etc/netns/r3/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.64.1.9	r1
fd6e:6574:6c6f::9	r1
10.64.1.5	r2
fd6e:6574:6c6f::5	r2
10.64.1.6	r3
10.64.1.10	r3
10.3.0.1	r3
fd6e:6574:6c6f::6	r3
fd6e:6574:6c6f::a	r3
10.1.0.2	h1
10.3.0.2	h3
END-OF-FILE
ip -n h1 link set dev r1 alias 'netloom:routers to r1:h1' addrgenmode none
ip -n h1 link set dev r1 up
ip -n h1 addr add 10.1.0.2/24 dev r1
ip -n h1 -4 route add default via 10.1.0.1 dev r1 proto static
[ ! -L /etc/netns/h1 ] || rm /etc/netns/h1
mkdir -p $(dirname /etc/netns/h1/hosts); rm -f /etc/netns/h1/hosts
cat >/etc/netns/h1/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.1.0.1	r1
fd6e:6574:6c6f::1	r1
fd6e:6574:6c6f::9	r1
10.64.1.2	r2
10.64.1.5	r2
fd6e:6574:6c6f::2	r2
fd6e:6574:6c6f::5	r2
10.64.1.6	r3
10.64.1.10	r3
10.3.0.1	r3
fd6e:6574:6c6f::6	r3
fd6e:6574:6c6f::a	r3
10.1.0.2	h1
10.3.0.2	h3
END-OF-FILE
ip -n h3 link set dev r3 alias 'netloom:routers to r3:h3' addrgenmode none
ip -n h3 link set dev r3 up
ip -n h3 addr add 10.3.0.2/24 dev r3
ip -n h3 -4 route add default via 10.3.0.1 dev r3 proto static
[ ! -L /etc/netns/h3 ] || rm /etc/netns/h3
mkdir -p $(dirname /etc/netns/h3/hosts); rm -f /etc/netns/h3/hosts
cat >/etc/netns/h3/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.64.1.1	r1
10.64.1.9	r1
10.1.0.1	r1
fd6e:6574:6c6f::1	r1
fd6e:6574:6c6f::9	r1
10.64.1.2	r2
10.64.1.5	r2
fd6e:6574:6c6f::2	r2
fd6e:6574:6c6f::5	r2
10.3.0.1	r3
fd6e:6574:6c6f::6	r3
fd6e:6574:6c6f::a	r3
10.1.0.2	h1
10.3.0.2	h3
END-OF-FILE
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/r1/hosts /etc/netns/r2/hosts /etc/netns/r3/hosts /etc/netns/h1/hosts /etc/netns/h3/hosts
# rmdir --ignore-fail-on-non-empty /etc/netns/r1 /etc/netns/r2 /etc/netns/r3 /etc/netns/h1 /etc/netns/h3 /etc/netns

