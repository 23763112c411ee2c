#!/bin/sh
set -e
ip netns add red
ip -n red link set lo up alias netloom:red-blue/red
ip netns add blue
ip -n blue link set lo up alias netloom:red-blue/blue
ip -n red link add name eth0 address 02:66:51:a2:7b:25 mtu 1500 type veth peer name eth0 netns blue address 02:fa:29:03:e1:f0 mtu 1500
ip -n red link set dev eth0 alias 'netloom:red-blue to blue:eth0' addrgenmode none
ip -n red link set dev eth0 up
ip -n red addr add 10.10.0.1/24 dev eth0
[ ! -L /etc/netns/red ] || rm /etc/netns/red
mkdir -p $(dirname /etc/netns/red/hosts); rm -f /etc/netns/red/hosts
cat >/etc/netns/red/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.10.0.1	red
10.10.0.2	blue
END-OF-FILE
ip -n blue link set dev eth0 alias 'netloom:red-blue to red:eth0' addrgenmode none
ip -n blue link set dev eth0 up
ip -n blue addr add 10.10.0.2/24 dev eth0
[ ! -L /etc/netns/blue ] || rm /etc/netns/blue
mkdir -p $(dirname /etc/netns/blue/hosts); rm -f /etc/netns/blue/hosts
cat >/etc/netns/blue/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.10.0.1	red
10.10.0.2	blue
END-OF-FILE
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/red/hosts /etc/netns/blue/hosts
# rmdir --ignore-fail-on-non-empty /etc/netns/red /etc/netns/blue /etc/netns

