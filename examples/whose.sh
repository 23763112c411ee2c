#!/bin/sh
# Whose network is it that a process has, and what is in there? `sh whose.sh PID`, as root.
# In place of: ip netns identify PID, which says nothing where there is no name; nsenter -t PID -n ip addr; and
# ln -s /proc/PID/ns/net /run/netns/NAME, which holds nothing, and leads to somebody else when PID comes again.
set -e
netloom identify "$1" || [ $? -eq 3 ] # it has no name
nsenter -t "$1" -n ip -br link
netloom attach found "$1"
netloom exec found ip -br link
netloom pids found
netloom del found
