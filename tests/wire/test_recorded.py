"""A recorded dump, and what `ip -j -d` showed of the same network: our readers agree with it."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.model.objects import Addr, Bridge, Nexthop, Route, Rule
from netloom.wire.attributes import Malformed
from netloom.wire.rtnetlink import read_addrs, read_links, read_routes, read_rules

FOLDER = Path(__file__).parent / "recorded"
TOLD: dict[str, list[bytes]] = {
    noun: [bytes.fromhex(payload) for payload in payloads]
    for noun, payloads in json.loads((FOLDER / "told.json").read_text()).items()
}
SHOWN: dict[str, list[dict[str, Any]]] = json.loads((FOLDER / "shown.json").read_text())
NAMES = {link.index: link.name for link in read_links(TOLD["links"])}


def test_links_agree() -> None:
    """Names, addresses, sizes, masters, marks, other names, other ends, kinds and states."""
    for seen, shown in zip(read_links(TOLD["links"]), SHOWN["links"], strict=True):
        info = shown.get("linkinfo", {})
        assert (seen.index, seen.name, seen.mtu) == (
            shown["ifindex"],
            shown["ifname"],
            shown["mtu"],
        )
        assert (seen.mac or "00:00:00:00:00:00") == shown["address"]
        assert NAMES.get(seen.master) == shown.get("master")
        assert seen.alias == shown.get("ifalias", "")
        assert list(seen.altnames) == shown.get("altnames", [])
        assert NAMES.get(seen.link_index) == shown.get("link")
        assert str(seen.group or "default") == shown["group"]
        assert (seen.up, seen.carrier) == ("UP" in shown["flags"], "LOWER_UP" in shown["flags"])
        assert ("eui64" if seen.ipv6_ll else "none") == shown["inet6_addr_gen_mode"]
        assert seen.kind == info.get("info_kind", "")
        if seen.kind == "bridge":
            assert seen.info == Bridge(stp=info["info_data"]["stp_state"] != 0)


def test_addresses_agree() -> None:
    """Each on its link, with its length, its scope, and whether it is secondary."""
    scopes = {0: "global", 253: "link", 254: "host"}
    seen = {
        (s.index, str(s.addr), s.addr.secondary, scopes[s.scope]) for s in read_addrs(TOLD["addrs"])
    }

    assert seen == {
        (link["ifindex"], f"{a['local']}/{a['prefixlen']}", a.get("secondary", False), a["scope"])
        for link in SHOWN["addrs"]
        for a in link["addr_info"]
    }
    assert Addr("10.0.0.2", 24, secondary=True) in {s.addr for s in read_addrs(TOLD["addrs"])}


def test_routes_agree() -> None:
    """Of some thirty, those that were asked for."""
    ways = (Nexthop("b", "10.0.0.7", 2), Nexthop("b", "10.0.0.8"))

    assert set(read_routes(TOLD["routes"], NAMES)) == {
        Route("0.0.0.0/0", (Nexthop("b", "10.0.0.9"),), protocol=3),
        Route("10.9.0.0/16", ways, table=1000, metric=5, protocol=3),
        Route("10.8.0.0/16", (Nexthop("b", "fe80::1"),), mtu=1300, advmss=1200, protocol=3),
        Route("10.7.0.0/16", type="blackhole", protocol=4),
        Route("fd09::/64", (Nexthop("b", "fd00::9"),), metric=1024, protocol=3),
        Route("fd08::/64", type="unreachable", metric=1024, protocol=3),
    }
    kernels = {"kernel", "ra", "redirect"}
    shown = [r for r in SHOWN["routes4"] + SHOWN["routes6"] if r.get("protocol") not in kernels]
    assert len(shown) == len(read_routes(TOLD["routes"], NAMES)) < len(TOLD["routes"])


def test_rules_agree() -> None:
    """Three that were asked for (`ip` asks without a protocol), beside a newborn namespace's."""
    assert read_rules(TOLD["rules"]) == [
        Rule(4, 50, table=1000, src="10.0.0.0/8", fwmark=1, fwmask=0xFF, protocol=0),
        Rule(4, 60, "prohibit", dst="10.0.0.0/8", iif="a", ipproto=6, dport=(80, 90), protocol=0),
        Rule(6, 70, table=1000, src="fd00::/8", protocol=0),
    ]
    assert len(SHOWN["rules4"]) + len(SHOWN["rules6"]) == 3 + 5


@pytest.mark.parametrize("noun", TOLD)
@given(data=st.data())
def test_a_dump_in_which_bytes_were_changed(noun: str, data: st.DataObject) -> None:
    """Real messages with a few bytes turned give values or `Malformed`."""
    changed = bytearray(data.draw(st.sampled_from(TOLD[noun])))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    payloads = [bytes(changed[: data.draw(st.integers(0, len(changed)))]), bytes(changed)]

    for payload in payloads:
        for reader in (read_links, read_addrs, read_rules, lambda some: read_routes(some, {})):
            with suppress(Malformed):
                reader([payload])
