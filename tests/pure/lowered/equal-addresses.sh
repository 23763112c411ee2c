#!/bin/sh
set -e
ip netns add left1
ip -n left1 link set lo up alias netloom:equal-addresses/left1
ip netns add left2
ip -n left2 link set lo up alias netloom:equal-addresses/left2
ip netns add right1
ip -n right1 link set lo up alias netloom:equal-addresses/right1
ip netns add right2
ip -n right2 link set lo up alias netloom:equal-addresses/right2
ip -n left1 link add name eth0 address 02:4f:e3:9b:b5:66 mtu 1500 type veth peer name eth0 netns left2 address 02:90:26:6f:fe:49 mtu 1500
ip -n right1 link add name eth0 address 02:63:c8:78:6a:b3 mtu 1500 type veth peer name eth0 netns right2 address 02:93:70:44:4e:d5 mtu 1500
ip -n left1 link set dev eth0 alias 'netloom:equal-addresses to left2:eth0' addrgenmode none
ip -n left1 link set dev eth0 up
ip -n left1 addr add 10.0.0.1/24 dev eth0
[ ! -L /etc/netns/left1 ] || rm /etc/netns/left1
mkdir -p $(dirname /etc/netns/left1/hosts); rm -f /etc/netns/left1/hosts
cat >/etc/netns/left1/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.0.0.1	left1
10.0.0.2	left2
10.0.0.1	right1
10.0.0.2	right2
END-OF-FILE
ip -n left2 link set dev eth0 alias 'netloom:equal-addresses to left1:eth0' addrgenmode none
ip -n left2 link set dev eth0 up
ip -n left2 addr add 10.0.0.2/24 dev eth0
[ ! -L /etc/netns/left2 ] || rm /etc/netns/left2
mkdir -p $(dirname /etc/netns/left2/hosts); rm -f /etc/netns/left2/hosts
cat >/etc/netns/left2/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.0.0.1	left1
10.0.0.2	left2
10.0.0.1	right1
10.0.0.2	right2
END-OF-FILE
ip -n right1 link set dev eth0 alias 'netloom:equal-addresses to right2:eth0' addrgenmode none
ip -n right1 link set dev eth0 up
ip -n right1 addr add 10.0.0.1/24 dev eth0
[ ! -L /etc/netns/right1 ] || rm /etc/netns/right1
mkdir -p $(dirname /etc/netns/right1/hosts); rm -f /etc/netns/right1/hosts
cat >/etc/netns/right1/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.0.0.1	left1
10.0.0.2	left2
10.0.0.1	right1
10.0.0.2	right2
END-OF-FILE
ip -n right2 link set dev eth0 alias 'netloom:equal-addresses to right1:eth0' addrgenmode none
ip -n right2 link set dev eth0 up
ip -n right2 addr add 10.0.0.2/24 dev eth0
[ ! -L /etc/netns/right2 ] || rm /etc/netns/right2
mkdir -p $(dirname /etc/netns/right2/hosts); rm -f /etc/netns/right2/hosts
cat >/etc/netns/right2/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.0.0.1	left1
10.0.0.2	left2
10.0.0.1	right1
10.0.0.2	right2
END-OF-FILE
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/left1/hosts /etc/netns/left2/hosts /etc/netns/right1/hosts /etc/netns/right2/hosts
# rmdir --ignore-fail-on-non-empty /etc/netns/left1 /etc/netns/left2 /etc/netns/right1 /etc/netns/right2 /etc/netns

