#!/bin/sh
# What test_dns.py is in place of: the same by hand, as root: `sh dns.sh`.
#
# When a server listens is guessed (sleep). Two runs at once meet in names, and what SIGKILL leaves must
# be taken away by hand, /etc/netns too: it outlives even the machine's next boot.
set -eu

cleanup() {
    for name in first second client; do
        ip netns pids $name 2>/dev/null | xargs -r kill -9
        ip netns del $name 2>/dev/null || true
    done
    ip link del br-dns 2>/dev/null || true
    rm -rf /etc/netns/client
    rmdir /etc/netns 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() { echo "FAILED: $*" >&2; exit 1; }
resolve() { ip netns exec client getent ahostsv4 shop.example | awk 'NR == 1 { print $1 }'; }
expect() { [ "$(resolve)" = "$1" ] || fail "$2"; }
drop() {
    ip netns exec client iptables -A INPUT -s "$1" -j DROP
    ip netns exec client iptables -A OUTPUT -d "$1" -j DROP
}
server() {
    ip netns exec "$1" dnsmasq --no-daemon --conf-file=/dev/null --no-hosts --no-resolv \
        --address="/shop.example/$2" >/dev/null 2>&1 &
}

mkdir -p /etc/netns/client
cat >/etc/netns/client/resolv.conf <<END
nameserver 10.53.0.1
nameserver 10.53.0.2
options timeout:1 attempts:1
END
ip link add br-dns type bridge
ip link set br-dns up
i=1
for name in first second client; do
    ip netns add $name
    ip link add dns$i type veth peer name eth0 netns $name
    ip link set dns$i master br-dns up
    ip -n $name link set lo up
    ip -n $name addr add 10.53.0.$i/24 dev eth0
    ip -n $name link set eth0 up
    i=$((i + 1))
done
server first 192.0.2.1
server second 192.0.2.2
sleep 2 # they may listen by now

expect 192.0.2.1 "the first does not answer"
drop 10.53.0.1
expect 192.0.2.2 "the second does not answer"
drop 10.53.0.2
expect '' "somebody answers who is cut off"
ip netns exec client iptables -F
expect 192.0.2.1 "the first does not answer any more"

ip netns exec first iptables -P INPUT DROP
began=$(date +%s%N)
expect 192.0.2.2 "the second does not answer when the first is silent"
[ $(($(date +%s%N) - began)) -ge 1000000000 ] || fail "the first was not waited for"
echo "names resolve as long as one of the two is there"
