#!/bin/sh
# A lab from red-blue.yaml: made, looked at, proved with packets, taken down, and nothing left.
# As root it stands on this host; as a plain user in a host of its own (a user namespace).
set -eu
cd "$(dirname "$0")/.."

if [ "$(id -u)" -ne 0 ]; then
    echo "# not root: all that follows happens in a user namespace of its own"
    exec unshare -Urnm sh -c 'mount -t tmpfs run /run && exec sh "$0"' examples/demo.sh
fi

PATH=$PWD/.venv/bin:$PATH:/usr/sbin:/sbin
lab=examples/red-blue.yaml
before=$(mktemp)
standing=
trap '[ -z "$standing" ] || netloom down "$lab"; rm -f "$before"' EXIT
trap 'exit 130' INT TERM

say() { printf '\n# %s\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }
host() {
    ip -o link | sed 's/^[0-9]*: \([^:]*\):.*/link      \1/'
    ip -o addr | awk '{print "address   " $2, $4}'
    ip route show table all | sed 's/^/route     /'
    ip netns list | sed 's/^/namespace /'
}

host >"$before"

say 'A topology is a file'
run cat "$lab"
say 'What would be done?'
run netloom plan "$lab"
say 'Do it'
standing=yes
run netloom up "$lab"
run netloom labs
run netloom ls
say 'Packets cross'
run netloom exec red ping -c1 -W5 10.10.0.2
say 'It is what ip-netns(8) knows, too'
run ip netns exec blue ip -br addr show eth0
say 'Take it down'
run netloom down "$lab"
standing=
say 'Nothing is left: links, addresses, routes and namespaces of this host, before and after'
printf '$ diff before after\n'
if host | diff "$before" -; then
    echo "no difference"
else
    exit 1
fi
