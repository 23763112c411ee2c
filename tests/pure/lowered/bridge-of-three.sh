#!/bin/sh
set -e
ip netns add bridge-of-three.switch
ip -n bridge-of-three.switch link set lo up alias netloom:bridge-of-three/bridge-of-three.switch
ip netns exec bridge-of-three.switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip netns add ns1
ip -n ns1 link set lo up alias netloom:bridge-of-three/ns1
ip netns add ns2
ip -n ns2 link set lo up alias netloom:bridge-of-three/ns2
ip netns add ns3
ip -n ns3 link set lo up alias netloom:bridge-of-three/ns3
ip -n bridge-of-three.switch link add name br0 address 02:ca:2d:06:a5:71 mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n bridge-of-three.switch link set dev br0 mtu 1500
ip -n bridge-of-three.switch link add name host.br0 address 02:33:16:fa:fd:6c mtu 1500 type veth peer name br0 netns $$ address 02:6a:fa:a9:9f:0c mtu 1500
ip -n bridge-of-three.switch link set dev host.br0 master br0
ip -n bridge-of-three.switch link add name ns1.br0 address 02:e1:b7:eb:e8:54 mtu 1500 type veth peer name br0 netns ns1 address 02:38:35:67:3a:62 mtu 1500
ip -n bridge-of-three.switch link set dev ns1.br0 master br0
ip -n bridge-of-three.switch link add name ns2.br0 address 02:22:ce:58:85:52 mtu 1500 type veth peer name br0 netns ns2 address 02:39:b1:86:49:6f mtu 1500
ip -n bridge-of-three.switch link set dev ns2.br0 master br0
ip -n bridge-of-three.switch link add name ns3.br0 address 02:3f:08:55:ad:73 mtu 1500 type veth peer name br0 netns ns3 address 02:a5:c8:ea:d1:a1 mtu 1500
ip -n bridge-of-three.switch link set dev ns3.br0 master br0
ip link set dev br0 alias 'netloom:bridge-of-three to bridge-of-three.switch:host.br0' addrgenmode none
ip link set dev br0 up
ip addr add 10.0.0.1/24 dev br0
ip -n bridge-of-three.switch link set dev br0 alias netloom:bridge-of-three
ip -n bridge-of-three.switch link set dev br0 up
ip -n bridge-of-three.switch link set dev host.br0 alias 'netloom:bridge-of-three to host:br0'
ip -n bridge-of-three.switch link set dev host.br0 up
ip -n bridge-of-three.switch link set dev ns1.br0 alias 'netloom:bridge-of-three to ns1:br0'
ip -n bridge-of-three.switch link set dev ns1.br0 up
ip -n bridge-of-three.switch link set dev ns2.br0 alias 'netloom:bridge-of-three to ns2:br0'
ip -n bridge-of-three.switch link set dev ns2.br0 up
ip -n bridge-of-three.switch link set dev ns3.br0 alias 'netloom:bridge-of-three to ns3:br0'
ip -n bridge-of-three.switch link set dev ns3.br0 up
ip -n ns1 link set dev br0 alias 'netloom:bridge-of-three to bridge-of-three.switch:ns1.br0' addrgenmode none
ip -n ns1 link set dev br0 up
ip -n ns1 addr add 10.0.0.2/24 dev br0
ip -n ns1 -4 route add default via 10.0.0.1 dev br0 proto static
[ ! -L /etc/netns/ns1 ] || rm /etc/netns/ns1
mkdir -p $(dirname /etc/netns/ns1/hosts); rm -f /etc/netns/ns1/hosts
cat >/etc/netns/ns1/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.0.0.2	ns1
10.0.0.3	ns2
10.0.0.4	ns3
10.0.0.1	host
END-OF-FILE
ip -n ns2 link set dev br0 alias 'netloom:bridge-of-three to bridge-of-three.switch:ns2.br0' addrgenmode none
ip -n ns2 link set dev br0 up
ip -n ns2 addr add 10.0.0.3/24 dev br0
ip -n ns2 -4 route add default via 10.0.0.1 dev br0 proto static
[ ! -L /etc/netns/ns2 ] || rm /etc/netns/ns2
mkdir -p $(dirname /etc/netns/ns2/hosts); rm -f /etc/netns/ns2/hosts
cat >/etc/netns/ns2/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.0.0.2	ns1
10.0.0.3	ns2
10.0.0.4	ns3
10.0.0.1	host
END-OF-FILE
ip -n ns3 link set dev br0 alias 'netloom:bridge-of-three to bridge-of-three.switch:ns3.br0' addrgenmode none
ip -n ns3 link set dev br0 up
ip -n ns3 addr add 10.0.0.4/24 dev br0
ip -n ns3 -4 route add default via 10.0.0.1 dev br0 proto static
[ ! -L /etc/netns/ns3 ] || rm /etc/netns/ns3
mkdir -p $(dirname /etc/netns/ns3/hosts); rm -f /etc/netns/ns3/hosts
cat >/etc/netns/ns3/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.0.0.2	ns1
10.0.0.3	ns2
10.0.0.4	ns3
10.0.0.1	host
END-OF-FILE
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/ns1/hosts /etc/netns/ns2/hosts /etc/netns/ns3/hosts
# rmdir --ignore-fail-on-non-empty /etc/netns/ns1 /etc/netns/ns2 /etc/netns/ns3 /etc/netns

