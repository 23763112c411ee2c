#!/bin/sh
# A network card lent to a namespace, and given back: `sh nic.sh eth1`, as root.
# In place of: ip link set eth1 netns samplens, and its addresses, routes and `up` anew, for the kernel takes them;
# later ip link set eth1 netns 1, and all of it once more.
set -e
netloom add samplens
netloom move "host:$1" samplens
netloom exec samplens ip -br addr show dev "$1"
netloom move "samplens:$1" host
netloom del samplens
