#!/bin/sh
set -e
ip netns add coke
ip -n coke link set lo up alias netloom:coke/coke
ip link add name veth0 address 02:05:19:ae:8b:b8 mtu 1500 type veth peer name veth1 netns coke address 02:20:79:91:23:58 mtu 1500
ip link set dev veth0 alias 'netloom:coke to coke:veth1' addrgenmode none
ip link set dev veth0 up
ip addr add 10.1.1.1/24 dev veth0
ip -n coke link set dev veth1 alias 'netloom:coke to host:veth0' addrgenmode none
ip -n coke link set dev veth1 up
ip -n coke addr add 10.1.1.2/24 dev veth1
[ ! -L /etc/netns/coke ] || rm /etc/netns/coke
mkdir -p $(dirname /etc/netns/coke/hosts); rm -f /etc/netns/coke/hosts
cat >/etc/netns/coke/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.1.1.2	coke
10.1.1.1	host
END-OF-FILE
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/coke/hosts
# rmdir --ignore-fail-on-non-empty /etc/netns/coke /etc/netns

