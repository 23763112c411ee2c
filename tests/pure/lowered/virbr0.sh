#!/bin/sh
set -e
ip netns add web
ip -n web link set lo up alias netloom:virbr0/web
ip netns add db
ip -n db link set lo up alias netloom:virbr0/db
ip link add name web.lan address fe:88:07:03:1b:a1 mtu 1500 type veth peer name lan netns web address 02:c5:21:20:e6:14 mtu 1500
ip link set dev web.lan master virbr0
ip link add name db.lan address fe:d6:c1:ab:6b:93 mtu 1500 type veth peer name lan netns db address 02:10:6b:4a:15:f5 mtu 1500
ip link set dev db.lan master virbr0
ip link set dev web.lan alias 'netloom:virbr0 to web:lan' addrgenmode none
ip link set dev web.lan up
ip link set dev db.lan alias 'netloom:virbr0 to db:lan' addrgenmode none
ip link set dev db.lan up
ip -n web link set dev lan alias 'netloom:virbr0 to host:web.lan' addrgenmode none
ip -n web link set dev lan up
ip -n web addr add 192.168.122.200/24 dev lan
ip -n web -4 route add default via 192.168.122.1 dev lan proto static
[ ! -L /etc/netns/web ] || rm /etc/netns/web
mkdir -p $(dirname /etc/netns/web/hosts); rm -f /etc/netns/web/hosts
cat >/etc/netns/web/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
192.168.122.200	web
192.168.122.77	db
END-OF-FILE
mkdir -p $(dirname /etc/netns/web/resolv.conf); rm -f /etc/netns/web/resolv.conf
cp /etc/resolv.conf /etc/netns/web/resolv.conf
ip -n db link set dev lan alias 'netloom:virbr0 to host:db.lan' addrgenmode none
ip -n db link set dev lan up
ip -n db addr add 192.168.122.77/24 dev lan
ip -n db -4 route add default via 192.168.122.1 dev lan proto static
[ ! -L /etc/netns/db ] || rm /etc/netns/db
mkdir -p $(dirname /etc/netns/db/hosts); rm -f /etc/netns/db/hosts
cat >/etc/netns/db/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
192.168.122.200	web
192.168.122.77	db
END-OF-FILE
mkdir -p $(dirname /etc/netns/db/resolv.conf); rm -f /etc/netns/db/resolv.conf
cp /etc/resolv.conf /etc/netns/db/resolv.conf
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/web/hosts /etc/netns/web/resolv.conf /etc/netns/db/hosts /etc/netns/db/resolv.conf
# rmdir --ignore-fail-on-non-empty /etc/netns/web /etc/netns/db /etc/netns

# passes: BridgeNeed(lab='virbr0', bridge='virbr0', addresses=('192.168.122.200', '192.168.122.77'))
