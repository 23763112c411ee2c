#!/bin/sh
# What webserver.yaml is in place of: the script of a how-to, with one name changed.
#
# The how-to calls the host's end `veth-${NAMESPACE}-h`, here `veth-webserver-h`. That is 16 bytes, and
# the kernel takes 15 (IFNAMSIZ, with the zero that ends it): "Attribute failed policy validation"
# (ERANGE). `VETH_HOST=veth-webserver-h sh webserver.sh` shows it, and leaves a namespace and a bridge behind.
#
# Nothing takes back what it does to the host: forwarding everywhere, three rules, a bridge.
set -e
NAMESPACE=webserver
BRIDGE=br-internal
VETH_HOST=${VETH_HOST:-veth-web-h}
VETH_NS=veth-$NAMESPACE
IP_HOST=10.100.0.1
IP_NS=10.100.0.2
SUBNET=10.100.0.0/24

ip netns add $NAMESPACE
ip link show $BRIDGE >/dev/null 2>&1 || {
    ip link add $BRIDGE type bridge
    ip addr add $IP_HOST/24 dev $BRIDGE
    ip link set $BRIDGE up
}
ip link add "$VETH_HOST" type veth peer name $VETH_NS
ip link set "$VETH_HOST" master $BRIDGE
ip link set "$VETH_HOST" up
ip link set $VETH_NS netns $NAMESPACE
ip netns exec $NAMESPACE ip addr add $IP_NS/24 dev $VETH_NS
ip netns exec $NAMESPACE ip link set $VETH_NS up
ip netns exec $NAMESPACE ip link set lo up
ip netns exec $NAMESPACE ip route add default via $IP_HOST

sysctl -w net.ipv4.ip_forward=1
iptables -t nat -A POSTROUTING -s $SUBNET ! -o $BRIDGE -j MASQUERADE
iptables -A FORWARD -i $BRIDGE -j ACCEPT
iptables -A FORWARD -o $BRIDGE -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT

echo "Namespace $NAMESPACE ready"
echo "Test: ip netns exec $NAMESPACE ping 8.8.8.8"
