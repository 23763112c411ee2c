#!/bin/sh
set -e
ip netns add isolated
ip -n isolated link set lo up alias netloom:isolated/isolated
ip link add name veth0 address 02:63:ab:2a:98:1a mtu 1500 type veth peer name veth1 netns isolated address 02:bf:ab:77:e2:76 mtu 1500
ip link set dev veth0 alias 'netloom:isolated to isolated:veth1' addrgenmode none
ip link set dev veth0 up
ip addr add 10.0.0.1/24 dev veth0
ip -n isolated link set dev veth1 alias 'netloom:isolated to host:veth0' addrgenmode none
ip -n isolated link set dev veth1 up
ip -n isolated addr add 10.0.0.2/24 dev veth1
[ ! -L /etc/netns/isolated ] || rm /etc/netns/isolated
mkdir -p $(dirname /etc/netns/isolated/hosts); rm -f /etc/netns/isolated/hosts
cat >/etc/netns/isolated/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.0.0.2	isolated
10.0.0.1	host
END-OF-FILE
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/isolated/hosts
# rmdir --ignore-fail-on-non-empty /etc/netns/isolated /etc/netns

