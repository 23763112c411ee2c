#!/bin/sh
# What test_proxy.py is in place of: the same by hand, as root: `sh proxy.sh`.
#
# When a server listens is guessed (sleep). Two runs at once meet in names, and what SIGKILL leaves must
# be taken away by hand.
set -eu
cd "$(dirname "$0")"

cleanup() {
    for name in client proxy origin; do
        ip netns pids $name 2>/dev/null | xargs -r kill -9
        ip netns del $name 2>/dev/null || true
    done
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() { echo "FAILED: $*" >&2; exit 1; }
ask() { ip netns exec client curl -sI -m5 --proxy http://10.1.0.2:8888 http://10.2.0.2/; }

for name in client proxy origin; do
    ip netns add $name
    ip -n $name link set lo up
done
ip -n client link add proxy type veth peer name client netns proxy
ip -n client addr add 10.1.0.1/24 dev proxy
ip -n client link set proxy up
ip -n proxy addr add 10.1.0.2/24 dev client
ip -n proxy link set client up
ip -n proxy link add origin type veth peer name proxy netns origin
ip -n proxy addr add 10.2.0.1/24 dev origin
ip -n proxy link set origin up
ip -n origin addr add 10.2.0.2/24 dev proxy
ip -n origin link set proxy up

ip netns exec proxy tinyproxy -d -c tinyproxy.conf >/dev/null 2>&1 &
ip netns exec origin python3 -m http.server 80 >/dev/null 2>&1 &
server=$!
sleep 2 # they may listen by now

head=$(ask)
case $head in *"200 OK"*) ;; *) fail "not answered: $head" ;; esac
case $head in *"Via: 1.1 tinyproxy"*) ;; *) fail "not by the proxy: $head" ;; esac

! ip netns exec client curl -s -m1 http://10.2.0.2/ || fail "there is a route past the proxy"
ip -n client route add default via 10.1.0.2
! ip netns exec client curl -s -m1 http://10.2.0.2/ || fail "the proxy forwards packets"

kill -9 $server
sleep 1 # it may be gone by now
case $(ask) in *"500 Unable to connect"*) ;; *) fail "an origin that is gone is not told" ;; esac
echo "nothing gets to the origin but through the proxy"
