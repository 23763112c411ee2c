#!/bin/sh
# A name for the network of a Docker container, as long as one needs it: `sh container.sh CONTAINER`, as root.
# In place of: CONTAINER_PID=$(docker inspect -f '{{.State.Pid}}' CONTAINER); ls -la /proc/$CONTAINER_PID/ns/net;
# and nsenter -t $CONTAINER_PID -n in front of each command.
set -e
CONTAINER_PID=$(docker inspect -f '{{.State.Pid}}' "$1")
netloom attach "$1" "$CONTAINER_PID"
netloom identify "$1"
netloom exec "$1" ip -br addr
netloom del "$1"
