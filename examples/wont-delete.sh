#!/bin/sh
# A namespace that lives on without its name, since a process is in it; and how it goes, with its processes.
# In place of: for pid in $(ip netns pids stuck); do kill $pid; done; ip netns delete stuck; and hoping.
set -e
netloom add stuck
netloom exec stuck sleep 1000 &
until netloom pids stuck | grep -q .; do :; done
netloom pids --threads --fds --sockets stuck
netloom del --kill --wait stuck
