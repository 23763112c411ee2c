#!/bin/sh
# The packets of a ping, by tcpdump inside a namespace, and by one command on both ends of the wire: `sh packets.sh`,
# as root. In place of: ip netns exec red tcpdump -i veth-red, a terminal for each interface, and guessing their order.
set -e
FILE=$(mktemp)
netloom up -q "$(dirname "$0")/red-blue.yaml"
trap 'netloom down -q red-blue; rm -f "$FILE"' EXIT

netloom exec red tcpdump -nc2 -i eth0 icmp &
until netloom exec red grep -q ' 0003 ' /proc/net/packet; do :; done # it listens
netloom exec red ping -qc1 blue
wait

(until [ -s "$FILE" ]; do :; done; netloom exec red ping -qc1 blue) &
netloom capture --packets --count 4 -o "$FILE" red:eth0 blue:eth0
wait
tcpdump -nr "$FILE"
