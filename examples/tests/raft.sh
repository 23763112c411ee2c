#!/bin/sh
# What test_raft.py is in place of: the same by hand, as root. `PYTHON=… sh raft.sh` says whose pysyncobj.
#
# How long an election takes is guessed (sleep): too short on a slow machine, too long on any other. Two
# runs at once meet in names and addresses, and what SIGKILL leaves must be taken away by hand.
set -eu
cd "$(dirname "$0")"
PYTHON=${PYTHON:-python3}
ALL='1 2 3 4 5'

cleanup() {
    for i in $ALL; do
        ip netns pids n$i 2>/dev/null | xargs -r kill -9
        ip netns del n$i 2>/dev/null || true
    done
    ip link del br-mesh 2>/dev/null || true
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() { echo "FAILED: $*" >&2; exit 1; }
put() { ip netns exec "n$1" curl -sf -m5 -X PUT -d x "http://127.0.0.1:8000/$2"; }
told() { ip netns exec "n$1" curl -s -m5 http://127.0.0.1:8000/; }
leader() { told "$1" | sed 's/.*"leader": "10\.20\.0\.\([0-9]\)".*/\1/'; }

ip link add br-mesh type bridge
ip link set br-mesh up
for i in $ALL; do
    ip netns add n$i
    ip link add mesh$i type veth peer name eth0 netns n$i
    ip link set mesh$i master br-mesh up
    ip -n n$i link set lo up
    ip -n n$i addr add 10.20.0.$i/24 dev eth0
    ip -n n$i link set eth0 up
done
for i in $ALL; do
    others=$(for j in $ALL; do [ $i = $j ] || echo 10.20.0.$j; done)
    # shellcheck disable=SC2086 # one word for each node
    ip netns exec n$i "$PYTHON" raft_node.py 10.20.0.$i $others >/dev/null 2>&1 &
done
sleep 5 # they may have elected by now

put 1 before || fail "no leader yet"
old=$(leader 1)
few="$old $((old % 5 + 1))"
many=$(for i in $ALL; do case " $few " in *" $i "*) ;; *) echo $i ;; esac; done)
first=$(echo "$many" | head -1)

for i in $few; do
    for j in $many; do
        ip netns exec "n$i" iptables -A INPUT -s "10.20.0.$j" -j DROP
        ip netns exec "n$i" iptables -A OUTPUT -d "10.20.0.$j" -j DROP
    done
done
sleep 5 # they may have elected another by now
put "$first" majority || fail "the majority does not commit"
for i in $few; do
    ! put "$i" minority || fail "the minority commits"
    case $(told "$i") in *majority*) fail "n$i is not cut off" ;; esac
done

for i in $few; do ip netns exec "n$i" iptables -F; done
sleep 5 # they may have found each other by now
put "$old" after || fail "no leader after healing"
sleep 1
for i in $ALL; do
    case $(told $i) in *after*before*majority*) ;; *) fail "n$i: $(told $i)" ;; esac
done
echo "only the majority commits"
