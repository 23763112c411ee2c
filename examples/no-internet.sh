#!/bin/sh
# Why does a namespace not reach the internet? `sh no-internet.sh NAME [ADDRESS [SITE]]`, as root: step by step, and
# the first that fails is told.
# In place of: ip addr; ip route; ping GATEWAY; cat /etc/resolv.conf; nslookup google.com; and on the host
# sysctl net.ipv4.ip_forward; iptables -t nat -L -n -v; iptables -L FORWARD -n -v; and knowing what they should say.
NAME=$1
ADDRESS=${2:-8.8.8.8}
SITE=${3:-google.com}

asks() { printf '%s? ' "$*"; }
ends() { printf 'no\n%s\n' "$*" && exit 1; }
inside() { ip netns exec "$NAME" "$@"; }
answers() { inside ping -qc1 -W2 "$1" >/dev/null; }

asks 'is there such a namespace, and whose'
WHOSE=$(netloom identify "/run/netns/$NAME") || exit
echo "$WHOSE"
asks 'has it an address, and a carrier'
inside ip -4 -br addr | grep -v '^lo ' | grep ' UP ' || ends "$(inside ip -br addr)"
asks 'has it a way out'
inside ip route show default | grep via || ends "no default route: $(inside ip route)"
GATEWAY=$(inside ip route show default | sed -n 's/.* via \([^ ]*\).*/\1/p;q')
asks "does its gateway $GATEWAY answer"
answers "$GATEWAY" || ends "a firewall: of its own (ip netns exec $NAME nft list ruleset), or of the host"
echo yes
LAB=$(echo "$WHOSE" | sed -n 's/.*  lab //p;q')
if [ -n "$LAB" ]; then
    asks "is its lab $LAB as it was applied: forwarding, NAT, what lets it pass a firewall"
    netloom verify "$LAB" || exit
else
    sysctl net.ipv4.ip_forward
    iptables -S FORWARD
    iptables -t nat -S POSTROUTING
fi
asks "does $ADDRESS answer"
answers "$ADDRESS" || ends "$(inside ip route get "$ADDRESS")"
echo yes
asks "is $SITE known"
inside getent ahostsv4 "$SITE" || ends "$(inside cat /etc/resolv.conf)"
