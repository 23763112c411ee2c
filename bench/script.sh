#!/bin/sh
# The star as a shell script makes it: `ip`, and `ip netns exec`.   script.sh up|down N
set -eu

up() {
    ip link add br0 type bridge
    ip addr add 10.64.255.254/16 dev br0
    ip link set br0 up
    i=0
    while [ "$i" -lt "$1" ]; do
        ip netns add "s$i"
        ip link add "vh$i" type veth peer name "vn$i"
        ip link set "vh$i" master br0
        ip link set "vh$i" up
        ip link set "vn$i" netns "s$i"
        ip netns exec "s$i" ip addr add "10.64.$((i / 250)).$((i % 250 + 1))/16" dev "vn$i"
        ip netns exec "s$i" ip link set "vn$i" up
        ip netns exec "s$i" ip link set lo up
        ip netns exec "s$i" ip route add default via 10.64.255.254
        i=$((i + 1))
    done
}

down() {
    i=0
    while [ "$i" -lt "$1" ]; do
        ip netns delete "s$i"
        i=$((i + 1))
    done
    ip link delete br0
}

"$1" "$2"
