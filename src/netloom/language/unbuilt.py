"""Keys of the language that are known and not built yet, in the same form as those of `keys.py`.

They are told to editors and to the reference pages, and refused by name. Building one means
dropping its `later`.
"""

from netloom.language.scalar_types import (
    COUNT,
    DELAY,
    IF_NAME,
    INTERFACE,
    RATE,
    SHARE,
    TEXT,
    TRUTH,
)
from netloom.language.schema_types import Anything, Choice, Key, Many, Mapped, Named, Shape, keyed


def _later(*keys: tuple[str, Shape, str]) -> tuple[Key, ...]:
    return tuple(Key(name, shape, says, later=True) for name, shape, says in keys)


IMPAIRMENTS = _later(
    ("preset", TEXT, "a line by its name: `wifi`, `4g`, `satellite-geo`"),
    ("delay", DELAY, "how much later packets arrive, each way"),
    ("jitter", DELAY, "how much the delay varies"),
    ("distribution", TEXT, "how the jitter is distributed, in tc's words"),
    ("loss", TEXT, "packets lost: `1%`, or tc's `gemodel 1% 10%`"),
    ("duplicate", SHARE, "packets that arrive twice"),
    ("reorder", SHARE, "packets that overtake others"),
    ("corrupt", SHARE, "packets with a flipped bit"),
    ("rate", RATE, "how much gets through"),
    ("limit", COUNT, "how many packets wait in the queue"),
)

_LINE = Mapped(noun="line", says="Impairments, one way.", keys=keyed(*IMPAIRMENTS))

PAIRS = Named(key=TEXT, value=_LINE, bare=False)

_PEER = Mapped(
    noun="peer",
    says="A WireGuard peer.",
    keys=keyed(
        *_later(
            ("public-key", TEXT, "its public key"),
            ("endpoint", TEXT, "where it listens"),
            ("allowed-ips", Many(item=TEXT), "the prefixes behind it"),
            ("keepalive", DELAY, "how often a packet keeps the way open"),
            ("preshared-key", TEXT, "a key that both sides share"),
        )
    ),
)

KINDS = (
    *("dummy", "bridge", "bond", "vrf", "vlan", "macvlan", "macvtap", "ipvlan", "vxlan", "geneve"),
    *("gre", "gretap", "ip6gre", "ipip", "sit", "wireguard", "tun", "tap", "ifb"),
)

_KIND = Key(
    "kind",
    Choice(now=(), later=KINDS),
    "what to make; absent: it is made elsewhere",
    later=True,
    hint="an address is written `addresses: …`",
)

INTERFACE_LATER = (
    _KIND,
    *_later(
        ("from", INTERFACE, "an existing NIC, moved in, and given back as it was"),
        ("ports", Many(item=IF_NAME), "the interfaces below a bridge, bond or vrf"),
        ("parent", TEXT, "the interface that it stands on"),
        ("id", COUNT, "the VLAN, VXLAN or Geneve number"),
        ("mode", TEXT, "the mode of a bond, macvlan or ipvlan"),
        ("table", COUNT, "the routing table of a vrf"),
        ("protocol", TEXT, "the protocol of a VLAN: 802.1Q or 802.1ad"),
        ("local", TEXT, "the address that a tunnel leaves from"),
        ("remote", TEXT, "the address or namespace that a tunnel leads to"),
        ("key", COUNT, "the key of a GRE tunnel"),
        ("port", COUNT, "the UDP port of a tunnel"),
        ("underlay", TEXT, "the namespace in which the outer packets travel"),
        ("private-key", TEXT, "the WireGuard key; absent: made"),
        ("listen", COUNT, "the WireGuard port"),
        ("peers", Named(key=TEXT, value=_PEER), "the WireGuard peers"),
        ("user", TEXT, "who may use a tun or tap"),
        ("group", TEXT, "the group that may use a tun or tap"),
        ("stp", TRUTH, "whether a bridge speaks the spanning tree protocol"),
        ("vlans", Anything(), "the VLANs of a bridge"),
    ),
)
