#!/bin/sh
set -e
ip netns add blue
ip -n blue link set lo up alias netloom:blue-routes/blue
ip link add name veth0 address 02:62:55:34:15:90 mtu 1500 type veth peer name veth1 netns blue address 02:6a:ae:86:83:18 mtu 1500
ip link set dev veth0 alias 'netloom:blue-routes to blue:veth1' addrgenmode none
ip link set dev veth0 up
ip -n blue link set dev veth1 alias 'netloom:blue-routes to host:veth0' addrgenmode none
ip -n blue link set dev veth1 up
ip -n blue addr add 10.1.1.1/24 dev veth1
[ ! -L /etc/netns/blue ] || rm /etc/netns/blue
mkdir -p $(dirname /etc/netns/blue/hosts); rm -f /etc/netns/blue/hosts
cat >/etc/netns/blue/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.1.1.1	blue
END-OF-FILE
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/blue/hosts
# rmdir --ignore-fail-on-non-empty /etc/netns/blue /etc/netns

