#!/bin/sh
set -e
ip netns add firewall.switch
ip -n firewall.switch link set lo up alias netloom:firewall/firewall.switch
ip netns exec firewall.switch sysctl -qw net.ipv6.conf.all.disable_ipv6=1
ip netns add client
ip -n client link set lo up alias netloom:firewall/client
ip netns add web
ip -n web link set lo up alias netloom:firewall/web
ip netns add isolated
ip -n isolated link set lo up alias netloom:firewall/isolated
ip -n firewall.switch link add name lan address 02:45:a8:68:f8:2d mtu 1499 type bridge stp_state 0 mcast_snooping 0
ip -n firewall.switch link set dev lan mtu 1500
ip -n firewall.switch link add name client.lan address 02:bf:cb:b1:4c:80 mtu 1500 type veth peer name lan netns client address 02:0e:aa:3b:1e:e5 mtu 1500
ip -n firewall.switch link set dev client.lan master lan
ip -n firewall.switch link add name web.lan address 02:a7:fc:a2:97:3c mtu 1500 type veth peer name lan netns web address 02:68:15:4a:32:07 mtu 1500
ip -n firewall.switch link set dev web.lan master lan
ip -n firewall.switch link add name isolated.lan address 02:7e:c3:6a:7d:b3 mtu 1500 type veth peer name lan netns isolated address 02:f7:66:e0:af:be mtu 1500
ip -n firewall.switch link set dev isolated.lan master lan
ip -n firewall.switch link set dev lan alias netloom:firewall
ip -n firewall.switch link set dev lan up
ip -n firewall.switch link set dev client.lan alias 'netloom:firewall to client:lan'
ip -n firewall.switch link set dev client.lan up
ip -n firewall.switch link set dev web.lan alias 'netloom:firewall to web:lan'
ip -n firewall.switch link set dev web.lan up
ip -n firewall.switch link set dev isolated.lan alias 'netloom:firewall to isolated:lan'
ip -n firewall.switch link set dev isolated.lan up
ip -n client link set dev lan alias 'netloom:firewall to firewall.switch:client.lan' addrgenmode none
ip -n client link set dev lan up
ip -n client addr add 10.30.0.1/24 dev lan
[ ! -L /etc/netns/client ] || rm /etc/netns/client
mkdir -p $(dirname /etc/netns/client/hosts); rm -f /etc/netns/client/hosts
cat >/etc/netns/client/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.30.0.1	client
10.30.0.2	web
10.30.0.3	isolated
END-OF-FILE
ip netns exec web nft -f - <<'END-OF-RULES'
table inet netloom-firewall {}
delete table inet netloom-firewall
table inet netloom-firewall {
comment "netloom:firewall"
chain input {
  type filter hook input priority filter; policy drop;
  ct state established,related accept
  tcp dport 80 accept
}

}
END-OF-RULES
ip -n web link set dev lan alias 'netloom:firewall to firewall.switch:web.lan' addrgenmode none
ip -n web link set dev lan up
ip -n web addr add 10.30.0.2/24 dev lan
[ ! -L /etc/netns/web ] || rm /etc/netns/web
mkdir -p $(dirname /etc/netns/web/hosts); rm -f /etc/netns/web/hosts
cat >/etc/netns/web/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.30.0.1	client
10.30.0.2	web
10.30.0.3	isolated
END-OF-FILE
ip netns exec isolated iptables-restore <<'END-OF-RULES'
*filter
:INPUT DROP [0:0]
-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A INPUT -p tcp --dport 80 -j ACCEPT
COMMIT
END-OF-RULES
ip -n isolated link set dev lan alias 'netloom:firewall to firewall.switch:isolated.lan' addrgenmode none
ip -n isolated link set dev lan up
ip -n isolated addr add 10.30.0.3/24 dev lan
[ ! -L /etc/netns/isolated ] || rm /etc/netns/isolated
mkdir -p $(dirname /etc/netns/isolated/hosts); rm -f /etc/netns/isolated/hosts
cat >/etc/netns/isolated/hosts <<'END-OF-FILE'
127.0.0.1	localhost
::1	localhost ip6-localhost ip6-loopback
127.0.1.1	house
10.30.0.1	client
10.30.0.2	web
10.30.0.3	isolated
END-OF-FILE
# What is in /etc outlives its namespace. When that is gone:
# rm -rf /etc/netns/client/hosts /etc/netns/web/hosts /etc/netns/isolated/hosts
# rmdir --ignore-fail-on-non-empty /etc/netns/client /etc/netns/web /etc/netns/isolated /etc/netns

