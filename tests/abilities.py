"""What a test may need of the machine; one finds out by trying, never by looking at a name."""

import os
import subprocess
import sys
from functools import cache
from typing import NamedTuple

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
AS_NOBODY = NOBODY if os.geteuid() == 0 else ()
PAIR = "ip link add name one type veth peer name two"
BRIDGE = "ip link add name bridge0 type bridge"


class Ability(NamedTuple):
    """A command that succeeds where the ability is there, and what to do where it is not."""

    probe: tuple[str, ...]
    remedy: str


ABILITIES = {
    "netns": Ability(("unshare", "--net", "--mount", "true"), "run as root"),
    "userns": Ability(
        (*AS_NOBODY, "unshare", "-Urnm", "true"), "allow user namespaces to plain users"
    ),
    "ip": Ability(("ip", "-V"), "apt-get install iproute2"),
    "veth": Ability(("unshare", "-Urn", "sh", "-c", PAIR), "modprobe veth"),
    "bridge": Ability(("unshare", "-Urn", "sh", "-c", BRIDGE), "modprobe bridge"),
    "ping": Ability(("ping", "-V"), "apt-get install iputils-ping"),
    "nft": Ability(("nft", "--version"), "apt-get install nftables"),
    "iptables": Ability(("iptables-nft", "--version"), "apt-get install iptables"),
    "iptables-legacy": Ability(
        ("unshare", "-n", "env", "XTABLES_LOCKFILE=/dev/null", "iptables-legacy", "-S"),
        "apt-get install iptables",
    ),
    # Even `ufw --version` leaves a lock in /run.
    "ufw": Ability(("sh", "-c", "command -v ufw"), "apt-get install ufw"),
    "firewalld": Ability(("firewalld", "--help"), "apt-get install firewalld dbus"),
    "dockerd": Ability(("dockerd", "--version"), "apt-get install docker.io"),
    "docker": Ability(("docker", "--version"), "apt-get install docker.io"),
    "libvirtd": Ability(
        ("sh", "-c", "libvirtd --version && virsh --version && dnsmasq --version"),
        "apt-get install libvirt-daemon-system libvirt-clients dnsmasq-base",
    ),
    "servers": Ability(
        ("sh", "-c", "dnsmasq --version && nginx -v && curl --version"),
        "apt-get install dnsmasq-base nginx-light curl",
    ),
    "nscd": Ability(("nscd", "--version"), "apt-get install nscd"),
    "udhcpc": Ability(
        ("sh", "-c", "command -v udhcpc && dnsmasq --version"),
        "apt-get install udhcpc dnsmasq-base",
    ),
    "keepalived": Ability(("keepalived", "--version"), "apt-get install keepalived"),
    "openvpn": Ability(
        ("sh", "-c", "command -v openvpn && test -w /dev/net/tun"), "apt-get install openvpn"
    ),
    "frr": Ability(("/usr/lib/frr/zebra", "--version"), "apt-get install frr"),
    "tinyproxy": Ability(("tinyproxy", "-v"), "apt-get install tinyproxy-bin"),
    "pysyncobj": Ability((sys.executable, "-c", "import pysyncobj"), "pip install pysyncobj"),
    "pasta": Ability(
        ("sh", "-c", "pasta --version && test -w /dev/net/tun"), "apt-get install passt"
    ),
    "slirp4netns": Ability(
        ("sh", "-c", "slirp4netns --version && test -w /dev/net/tun"), "apt-get install slirp4netns"
    ),
    "newuidmap": Ability(
        ("sh", "-c", "command -v newuidmap && command -v newgidmap"), "apt-get install uidmap"
    ),
    "curl": Ability(("curl", "--version"), "apt-get install curl"),
    "tcpdump": Ability(("tcpdump", "--version"), "apt-get install tcpdump"),
    "strace": Ability(("strace", "-o", "/dev/null", "true"), "apt-get install strace"),
    "cc": Ability(("gcc", "--version"), "apt-get install gcc libc6-dev"),
}


@cache
def missing(ability: str) -> str:
    """Return why this machine lacks an ability, and the remedy; empty where it has it."""
    probe, remedy = ABILITIES[ability]
    try:
        run = subprocess.run(
            probe, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=30
        )
    except FileNotFoundError:
        return f"no `{probe[0]}` here ({remedy})"
    if run.returncode == 0:
        return ""
    return f"`{' '.join(probe)}`: {run.stderr.strip() or run.returncode} ({remedy})"
