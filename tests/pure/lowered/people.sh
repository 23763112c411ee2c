#!/bin/sh
set -e
ip netns add people.switch
ip -n people.switch link set lo up alias netloom:people/people.switch
ip netns exec people.switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip netns add a
ip -n a link set lo up alias netloom:people/a
ip netns add b
ip -n b link set lo up alias netloom:people/b
ip link add name people.sw address 02:65:8a:4e:f1:f9 mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip link set dev people.sw mtu 1500
ip -n people.switch link add name sw address 02:b9:59:c3:8f:a6 mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n people.switch link set dev sw mtu 1500
ip -n people.switch link add name own address 02:a6:57:ed:72:64 mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n people.switch link set dev own mtu 1500
ip link add name a.office address fe:1a:48:48:42:47 mtu 1500 type veth peer name office netns a address 02:24:29:fa:a5:3c mtu 1500
ip link set dev a.office master virbr0
ip link add name people.sw.up address fe:1e:07:3e:88:de mtu 1500 type veth peer name people.sw.down netns people.switch address 02:07:17:78:ad:93 mtu 1500
ip link set dev people.sw.up master people.sw
ip -n people.switch link add name a.sw address 02:8e:b3:a2:23:59 mtu 1500 type veth peer name sw netns a address 02:72:a0:83:3e:25 mtu 1500
ip -n people.switch link set dev a.sw master sw
ip -n people.switch link add name a.own address 02:bf:07:8e:09:3c mtu 1500 type veth peer name own netns a address 02:73:cc:9f:bd:bc mtu 1500
ip -n people.switch link set dev a.own master own
ip -n people.switch link add name b.own address 02:3d:9f:27:11:5c mtu 1500 type veth peer name own netns b address 02:1d:b2:82:ff:5b mtu 1500
ip -n people.switch link set dev b.own master own
ip -n office.switch link add name a.far address 02:9d:98:9e:50:da mtu 1500 type veth peer name far netns a address 02:53:9c:ed:b8:6a mtu 1500
ip -n office.switch link set dev a.far master lan
ip link set dev a.office alias 'netloom:people to a:office' addrgenmode none
ip link set dev a.office up
ip link set dev people.sw alias netloom:people addrgenmode none
ip link set dev people.sw up
ip link set dev people.sw.up alias 'netloom:people to people.switch:people.sw.down' addrgenmode none
ip link set dev people.sw.up up
ip link set dev eth2 up master people.sw alias 'netloom:people port of sw'
sysctl -qw net.ipv4.conf.people/sw.arp_ignore=8
sysctl -qw net.ipv4.conf.people/sw.forwarding=0
sysctl -qw net.ipv6.conf.people/sw.disable_ipv6=1
ip -n people.switch link set dev sw alias netloom:people
ip -n people.switch link set dev sw up
ip -n people.switch link set dev a.sw alias 'netloom:people to a:sw'
ip -n people.switch link set dev a.sw up
ip -n people.switch link set dev people.sw.down master sw alias 'netloom:people to host:people.sw.up'
ip -n people.switch link set dev people.sw.down up
ip -n people.switch link set dev own alias netloom:people
ip -n people.switch link set dev own up
ip -n people.switch link set dev a.own alias 'netloom:people to a:own'
ip -n people.switch link set dev a.own up
ip -n people.switch link set dev b.own alias 'netloom:people to b:own'
ip -n people.switch link set dev b.own up
ip -n office.switch link set dev a.far alias 'netloom:people to a:far' addrgenmode none
ip -n office.switch link set dev a.far up
ip netns exec a nft -f - <<'END-OF-RULES'
table inet netloom-people {}
delete table inet netloom-people
table inet netloom-people {
comment "netloom:people"
chain input { type filter hook input priority 0; tcp dport 22 drop; }

}
END-OF-RULES
ip netns exec a ip6tables-restore <<'END-OF-RULES'
*filter
COMMIT
END-OF-RULES
ip netns exec a iptables-restore <<'END-OF-RULES'
*filter
-A INPUT -p tcp --dport 23 -j DROP
COMMIT
END-OF-RULES
ip -n a link set dev office alias 'netloom:people to host:a.office' addrgenmode none
ip -n a link set dev office up
ip -n a addr add 192.168.122.128/24 dev office
ip -n a link set dev far alias 'netloom:people to office.switch:a.far' addrgenmode none
ip -n a link set dev far up
ip -n a addr add 10.80.0.9/24 dev far
ip -n a link set dev sw alias 'netloom:people to people.switch:a.sw' addrgenmode none
ip -n a link set dev sw up
ip -n a addr add 10.4.0.1/24 dev sw
ip -n a link set dev own alias 'netloom:people to people.switch:a.own'
ip -n a addr add fe80::73:ccff:fe9f:bdbc/64 dev own nodad
ip -n a link set dev own up
ip -n a addr add 10.5.0.1/24 dev own
ip -n a addr add fd00:5::1/64 dev own nodad
[ ! -L /etc/netns/a ] || rm /etc/netns/a
mkdir -p $(dirname /etc/netns/a/hosts); rm -f /etc/netns/a/hosts
cat >/etc/netns/a/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
192.168.122.128	a
10.80.0.9	a
10.4.0.1	a
10.5.0.1	a
fd00:5::1	a
10.5.0.2	b
fd00:5::2	b
END-OF-FILE
mkdir -p $(dirname /etc/netns/a/motd); rm -f /etc/netns/a/motd
cat >/etc/netns/a/motd <<'END-OF-FILE'
hello
END-OF-FILE
mkdir -p $(dirname /etc/netns/a/nginx/nginx.conf); rm -f /etc/netns/a/nginx/nginx.conf
cat >/etc/netns/a/nginx/nginx.conf <<'END-OF-FILE'
events {}
END-OF-FILE
mkdir -p $(dirname /etc/netns/a/resolv.conf); rm -f /etc/netns/a/resolv.conf
cat >/etc/netns/a/resolv.conf <<'END-OF-FILE'
nameserver 192.168.122.128
nameserver 9.9.9.9
END-OF-FILE
ip -n b link set dev own alias 'netloom:people to people.switch:b.own'
ip -n b addr add fe80::1d:b2ff:fe82:ff5b/64 dev own nodad
ip -n b link set dev own up
ip -n b addr add 10.5.0.2/24 dev own
ip -n b addr add fd00:5::2/64 dev own nodad
[ ! -L /etc/netns/b ] || rm /etc/netns/b
mkdir -p $(dirname /etc/netns/b/hosts); rm -f /etc/netns/b/hosts
cat >/etc/netns/b/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.5.0.1	a.example
10.5.0.1	a
fd00:5::1	a
10.5.0.2	b
fd00:5::2	b
END-OF-FILE
(cd /srv && exec ip netns exec a sh -c 'exec sleep 1') </dev/null &
(cd /tmp && exec ip netns exec a setpriv --reuid=daemon --init-groups env 'A=b c' B= sh -c 'echo hi') </dev/null &
(cd /srv && exec ip netns exec a sh -c 'exec nc -l 80') </dev/null &
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/a/hosts /etc/netns/a/motd /etc/netns/a/nginx /etc/netns/a/resolv.conf /etc/netns/b/hosts
# rmdir --ignore-fail-on-non-empty /etc/netns/a /etc/netns/b /etc/netns

# passes: BridgeNeed(lab='people', bridge='people.sw', addresses=())
# passes: BridgeNeed(lab='people', bridge='virbr0', addresses=('192.168.122.128',))
