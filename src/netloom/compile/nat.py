"""The lab's table of nftables on the host: what a way out lets through, and what it keeps closed.

* `guard`: nothing new comes in, nothing goes from one network to another, and what our forwarding
  would newly permit between other interfaces stays forbidden;
* `clamp`: TCP's segment size follows the path's MTU, both ways (RFC 4459, 3.2);
* `hide`: with `nat` the lab's addresses leave as the host's own;
* `publish`: exactly the ports that the file says lead inwards, from anywhere, the host included;
* `from-host`, `to-host`: with `uplink: user` the host's own IPv6 comes under a link-local address.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from netloom.compile.expand import Port, Segment
from netloom.errors import Path
from netloom.language.publish import publish_text
from netloom.language.topology import Publish
from netloom.model.names import TAP
from netloom.model.objects import HOST
from netloom.values import Family, family

_FAMILIES: tuple[Family, Family] = (4, 6)

ALL_IPV6 = ":ipv6"
"""Stands, where links do, for IPv6 between any two: it has one switch for all (no link has `:`)."""

_LINK_LOCAL, _TRANSLATED = "fe80::", "64:ff9b:1::"
"""Prefixes of 64 bits: what is not forwarded (RFC 4291, 2.5.6), and what may be, for translators
of a site (RFC 8215)."""

_OWN = f'iifname "{TAP}" ip6 daddr {_LINK_LOCAL}/64'
"""Tells the host's own IPv6 where a program leads in, by whichever address it takes for ours."""


class Egress(Struct, frozen=True):
    """A network's way out: by which interface of the host in, by which out, in which families.

    `netns` is the host, or the namespace that plays it; `branch` a bridge of the host that packets
    of the network may cross before they come in.
    """

    segment: Segment
    link: str
    out: tuple[str, ...]
    families: frozenset[Family]
    routed: bool = False
    netns: str = HOST
    branch: str | None = None

    def gateways(self) -> Iterator[str]:
        """Yield the gateway's addresses on the network that members can leave by, one a family."""
        port = next(port for port in self.segment.ports if port.end.netns == self.netns)
        for version in sorted(self.families):
            yield from [addr.ip for addr in port.addresses if addr.family == version][:1]

    @property
    def on_bridge(self) -> bool:
        """Whether what crosses the network may pass the host's rules, too (br_netfilter)."""
        return bool(self.segment.network and self.segment.network.bridge)

    @property
    def by_host(self) -> bool:
        """Whether the members leave by the host, not by a gateway of their own."""
        return not (self.segment.network and self.segment.network.gateway)


class PortForward(Struct, frozen=True):
    """A published port: by which way it leads in, to which port of a segment; its place."""

    port: Publish
    egress: Egress
    place: Port
    path: Path

    @property
    def netns(self) -> str:
        """The namespace that it leads to."""
        return str(self.place.end.netns)

    @property
    def address(self) -> str:
        """The address of the host that tells it, empty for any.

        A program listens on that one alone, and leads what comes there to an address of its choice.
        """
        chosen = self.egress.netns != HOST and not self.port.address.startswith("127.")
        return "" if chosen else self.port.address

    def targets(self) -> Iterator[str]:
        """Yield the addresses that it leads to, one a family."""
        told: set[Family] = set()
        for addr in self.place.addresses:
            version = addr.family
            if version in told or (self.port.address and family(self.port.address) != version):
                continue
            told.add(version)
            yield addr.ip


def in_words(forwards: Iterable[PortForward]) -> Iterator[str]:
    """Yield what is published, and that it answers by one family alone where it could by both."""
    ranges: dict[Path, list[PortForward]] = {}
    for one in forwards:
        ranges.setdefault(one.path, []).append(one)
    found: dict[str, list[str]] = {}
    for run in ranges.values():
        families = {family(address) for address in run[0].targets()}
        alone = len(families) == 1 and not run[0].port.address
        said = publish_text(replace(run[0].port, number=len(run)))
        found.setdefault(f" by IPv{families.pop()} alone" if alone else "", []).append(said)
    for how, texts in found.items():
        yield f"publishes {', '.join(texts)}{how}"


class OnHost(Struct, frozen=True):
    """What else the table says where it is the host's own.

    `closed` says for an interface where IPv4 packets from it may not go, and for `ALL_IPV6`
    between which interfaces IPv6 may not go; `bridges` are the host's own. By those that are
    `guarded` members reach no port of the host's but its resolver. The host is a router between
    those that are `inner`.
    """

    closed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    guarded: tuple[str, ...] = ()
    bridges: Collection[str] = ()
    inner: tuple[str, ...] = ()


NO_HOST = OnHost()
"""Of what only plays the host."""


def table(egresses: Sequence[Egress], forwards: Sequence[PortForward], host: OnHost) -> str:
    """Return the chains of the table, empty if nothing is forwarded."""
    if not egresses and not host.inner:
        return ""
    links = _set([*host.inner, *(egress.link for egress in egresses)])
    chains = [
        _chain(
            "guard",
            "filter hook forward priority filter - 5",
            [*_guard(egresses, forwards, host.inner), *_kept(host.closed, host.bridges)],
        ),
        _chain("clamp", "filter hook forward priority mangle", _clamp(links)),
    ]
    if branches := [egress.branch for egress in egresses if egress.branch]:
        # Else conntrack knows them, where br_netfilter is on, before they come to be translated.
        crossing = f"iifname {_set(branches)} notrack"
        chains.append(_chain("crossing", "filter hook prerouting priority raw", [crossing]))
    if host.guarded:
        chains.append(_chain("host", "filter hook input priority filter - 5", _host(host.guarded)))
    if hidden := list(_hide(egresses, forwards)):
        chains.append(_chain("hide", "nat hook postrouting priority srcnat", hidden))
    if forwards:
        no_localnet = f"iifname {links} ip daddr 127.0.0.0/8 drop"
        here = [line for one in forwards for line in _publish(one, one.targets())]
        passing = [line for one in forwards for line in _publish(one, _forwarded(one))]
        passing += [_lead(_OWN, one.port, address) for one, address in _own(forwards)]
        chains += [
            _chain("localnet", "filter hook prerouting priority raw", [no_localnet]),
            _chain("publish", "nat hook prerouting priority dstnat", passing),
            _chain("publish-here", "nat hook output priority -100", here),
            *_own_ipv6(forwards),
        ]
    return "\n".join(chains)


def _kept(closed: Mapping[str, tuple[str, ...]], bridges: Collection[str]) -> Iterator[str]:
    """Yield what keeps closed what our forwarding would newly permit.

    What crosses a bridge is not forwarded by us, though br_netfilter shows it here.
    """
    concerned = {*closed, *(other for others in closed.values() for other in others)}
    for bridge in sorted(concerned.intersection(bridges)):
        yield f"iifname {_set([bridge])} oifname {_set([bridge])} accept"
    for link, others in closed.items():
        if others and link == ALL_IPV6:
            yield f"meta nfproto ipv6 iifname {_set(others)} oifname {_set(others)} drop"
        elif others:
            yield f"meta nfproto ipv4 iifname {_set([link])} oifname {_set(others)} drop"


def _own_ipv6(forwards: Sequence[PortForward]) -> Iterator[str]:
    """Yield the chains that let the host itself in by IPv6, where a program leads in.

    The program has the host's own address for the namespace that plays it, so it shows the host by
    a link-local one, and nothing forwards that. So that is rewritten before conntrack sees it, and
    back after that.
    """
    if not list(_own(forwards)):
        return
    host = "::ffff:ffff:ffff:ffff"
    come = f'iifname "{TAP}" ip6 saddr {_LINK_LOCAL}/64 meta l4proto 6'
    go = f'oifname "{TAP}" ip6 daddr {_TRANSLATED}/64'
    come += f" ip6 saddr set ip6 saddr & {host} | {_TRANSLATED}"
    go += f" ip6 daddr set ip6 daddr & {host} | {_LINK_LOCAL}"
    yield _chain("from-host", "filter hook prerouting priority raw", [come])
    yield _chain("to-host", "filter hook postrouting priority srcnat + 1", [go])


def _own(forwards: Iterable[PortForward]) -> Iterator[tuple[PortForward, str]]:
    """Yield what a program leads inwards by TCP over IPv6, and to which address."""
    for one in forwards:
        if one.egress.netns != HOST and one.port.protocol == "tcp":
            yield from ((one, address) for address in _forwarded(one) if family(address) == 6)


def _guard(
    egresses: Sequence[Egress], forwards: Sequence[PortForward], inner: Collection[str]
) -> Iterator[str]:
    links = _set([*inner, *(egress.link for egress in egresses)])
    if inner:
        yield f"iifname {_set(inner)} oifname {_set(inner)} accept"
    if any(egress.netns != HOST for egress in egresses):
        # What a program sends to an address that is not ours would go back to it, and come again.
        yield f'iifname "{TAP}" oifname "{TAP}" drop'
    for link in (_set([egress.link]) for egress in egresses if egress.on_bridge):
        yield f"iifname {link} oifname {link} accept"
    if hidden := [egress.link for egress in egresses if not egress.routed]:
        # What belongs to no connection is not translated: it would leave with the lab's address.
        # Nor is what conntrack does not follow: types of ICMPv6 (nf_conntrack_icmpv6_error).
        yield f"iifname {_set(hidden)} ct state {{ invalid, untracked }} drop"
    for word in ("iifname", "oifname"):
        yield f"{word} {links} ct state established,related accept"
    for egress in egresses:
        yield f"iifname {_set([egress.link])} oifname {_set(egress.out)} accept"
        if egress.routed:
            yield f"iifname {_set(egress.out)} oifname {_set([egress.link])} accept"
    if forwards:
        yield f"oifname {links} ct status dnat accept"
    # A port that somebody else publishes (another lab, Docker) is open to the labs, too.
    yield f"iifname {links} ct status dnat accept"
    yield f"iifname {links} drop"
    yield f"oifname {links} drop"


def _host(guarded: Sequence[str]) -> Iterator[str]:
    links = _set(guarded)
    yield f"iifname {links} ct state established,related accept"
    yield f"iifname {links} meta l4proto {{ 1, 58 }} accept"
    yield f"iifname {links} meta l4proto {{ 6, 17 }} th dport 53 accept"
    yield f"iifname {links} drop"


def _clamp(links: str) -> Iterator[str]:
    for word in ("iifname", "oifname"):
        yield f"{word} {links} tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu"


def _hide(egresses: Sequence[Egress], forwards: Sequence[PortForward]) -> Iterator[str]:
    """Yield what leaves under another address.

    Whatever came in from the network leaves as the host's: what lies behind a router in the lab,
    too. And the answer to what was led inwards must come back by the host: from a neighbour on the
    same network (a hairpin), to the loopback, and where the members do not leave by the host.
    """
    for egress in egresses:
        inside, out = _set([egress.link]), _set(egress.out)
        if not egress.routed:
            yield f"iifname {inside} oifname {out} masquerade"
        for version in _FAMILIES if any(one.egress is egress for one in forwards) else ():
            answered = egress.by_host and version in egress.families
            of = f"meta nfproto ipv{version} {f'iifname {inside} ' if answered else ''}"
            yield f"{of}oifname {inside} ct status dnat masquerade"
            if answered and version == 4:
                yield f"ip saddr 127.0.0.0/8 oifname {inside} masquerade"


def _forwarded(one: PortForward) -> Iterator[str]:
    """Yield the addresses that packets from elsewhere reach: in families that are forwarded."""
    return (address for address in one.targets() if family(address) in one.egress.families)


def _publish(one: PortForward, targets: Iterable[str]) -> Iterator[str]:
    port = one.port
    for address in targets:
        here = f"{_ip(address)} daddr {one.address}" if one.address else _local(address)
        yield _lead(here, port, address)


def _lead(here: str, port: Publish, address: str) -> str:
    to = f"[{address}]:{port.to}" if ":" in address else f"{address}:{port.to}"
    return f"{here} {port.protocol} dport {port.port} dnat {_ip(address)} to {to}"


def _local(address: str) -> str:
    """Return a match for all addresses of the host, in the family of one.

    But ::1: IPv6 has no route_localnet, so the answer would not find its way. Who asks for
    `localhost` is refused there at once, and goes on to 127.0.0.1.
    """
    match = f"meta nfproto ipv{family(address)} fib daddr type local"
    return f"{match} ip6 daddr != ::1" if family(address) == 6 else match


def _ip(text: str) -> str:
    return "ip6" if family(text) == 6 else "ip"


def _set(names: Iterable[str]) -> str:
    quoted = [f'"{name}"' for name in sorted(set(names))]
    return quoted[0] if len(quoted) == 1 else f"{{ {', '.join(quoted)} }}"


def _chain(name: str, hook: str, rules: Iterable[str]) -> str:
    lines = "".join(f"\t\t{rule}\n" for rule in rules)
    return f"\tchain {name} {{\n\t\ttype {hook}; policy accept;\n{lines}\t}}"
