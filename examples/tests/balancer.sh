#!/bin/sh
# What test_balancer.py is in place of: the same by hand, as root: `sh balancer.sh`.
#
# When a server listens, and when nginx tries it again, is guessed (sleep). Two runs at once meet in names,
# and what SIGKILL leaves must be taken away by hand, /etc/netns too: it outlives even the next boot.
set -eu
CONF=$(cd "$(dirname "$0")" && pwd)/nginx.conf
WORK=$(mktemp -d)

cleanup() {
    for name in client balancer web1 web2; do
        ip netns pids $name 2>/dev/null | xargs -r kill -9
        ip netns del $name 2>/dev/null || true
    done
    ip link del br-back 2>/dev/null || true
    rm -rf /etc/netns/balancer "$WORK"
    rmdir /etc/netns 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() { echo "FAILED: $*" >&2; exit 1; }
ask() { ip netns exec client curl -sf -m5 http://10.1.0.2/name; }
asked() { for _ in 1 2 3 4 5 6; do ask || echo lost; done | sort | uniq -c | tr -s ' \n' ' '; }
back() { case $(asked) in *lost* | *6*) fail "it does not come back" ;; esac; }
expect() { said=$(asked); [ "$said" = "$1" ] || fail "$2:$said"; }
serve() { ip netns exec "$1" python3 -m http.server 80 --directory "$WORK/$1" >/dev/null 2>&1 & }

mkdir -p /etc/netns/balancer
printf '10.2.0.1 web1\n10.2.0.2 web2\n' >/etc/netns/balancer/hosts
for name in client balancer web1 web2; do
    ip netns add $name
    ip -n $name link set lo up
done
ip -n client link add front type veth peer name front netns balancer
ip -n client addr add 10.1.0.1/24 dev front
ip -n client link set front up
ip -n balancer addr add 10.1.0.2/24 dev front
ip -n balancer link set front up
ip link add br-back type bridge
ip link set br-back up
i=1
for name in web1 web2 balancer; do
    ip link add back$i type veth peer name back netns $name
    ip link set back$i master br-back up
    ip -n $name addr add 10.2.0.$i/24 dev back
    ip -n $name link set back up
    i=$((i + 1))
done
for name in web1 web2; do
    mkdir "$WORK/$name"
    echo $name >"$WORK/$name/name"
    serve $name
done
ip netns exec balancer nginx -e stderr -p "$WORK" -c "$CONF" >/dev/null 2>&1 &
sleep 3 # they may listen by now

expect ' 3 web1 3 web2 ' "they do not serve in turn"
ip netns exec balancer iptables -A OUTPUT -d 10.2.0.1 -j DROP
expect ' 6 web2 ' "requests are lost with a back end that is cut off"
ip netns exec balancer iptables -F
sleep 2 # nginx may try it again by now
back

ip netns pids web1 | xargs kill -9
sleep 1 # it may be gone by now
expect ' 6 web2 ' "requests are lost with a back end that is killed"
serve web1
sleep 2 # nginx may try it again by now
back
echo "requests are answered as long as one back end is there"
