"""Settings of the host that labs share, on a machine of its own."""

from pathlib import Path

from msgspec import json
from msgspec.structs import replace

from netloom.host.firewall import shared_sysctls
from netloom.host.firewall.shared_sysctls import CLAIMS_DIR, Claim
from netloom.kernel.procfs import boot_id
from tests.hosts.machine import on_a_machine
from tests.hosts.programs import ran

CARD = "net.ipv4.conf.eth0.forwarding"
WHOLE = "net.ipv4.ip_forward"
IPV6 = "net.ipv6.conf.all.forwarding"


def value(key: str) -> str:
    """Return a setting."""
    return Path("/proc/sys", key.replace(".", "/")).read_text().strip()


def set_(key: str, text: str) -> None:
    """Set one, as somebody else does."""
    Path("/proc/sys", key.replace(".", "/")).write_text(text)


def card() -> None:
    """Give the machine a card that does not forward."""
    ran("ip", "link", "add", "eth0", "type", "veth", "peer", "name", "cable")
    set_(CARD, "0")


@on_a_machine
def test_the_last_holder_restores_what_was_found() -> None:
    """And the folder goes with the last claim."""
    card()
    shared_sysctls.add("a", CARD, "1")
    shared_sysctls.add("b", CARD, "1")
    assert shared_sysctls.claims()[CARD].holders == ("a", "b")
    shared_sysctls.remove("a", CARD)
    shared_sysctls.remove("a", CARD)
    assert value(CARD) == "1"
    assert shared_sysctls.held_by("a") == {}
    assert shared_sysctls.held_by("b") == {CARD: "1"}
    shared_sysctls.remove("b", CARD)
    shared_sysctls.tidy()
    assert value(CARD) == "0"
    assert not Path(CLAIMS_DIR).exists()


@on_a_machine
def test_a_value_that_is_not_ours_any_more_stays() -> None:
    """Somebody has set it since."""
    card()
    shared_sysctls.add("a", CARD, "1")
    set_(CARD, "0")
    assert shared_sysctls.held_by("a") == {CARD: "0"}
    shared_sysctls.add("a", CARD, "1")
    assert value(CARD) == "1"
    set_(CARD, "0")
    shared_sysctls.remove("a", CARD)
    assert value(CARD) == "0"


@on_a_machine
def test_forwarding_that_somebody_switched_on_for_all_stays() -> None:
    """Docker does, and relies on it; but not where it was on before us."""
    card()
    shared_sysctls.add("a", CARD, "1")
    set_(WHOLE, "1")
    shared_sysctls.remove("a", CARD)
    assert value(CARD) == "1"
    set_(CARD, "0")
    shared_sysctls.add("a", CARD, "1")
    shared_sysctls.remove("a", CARD)
    assert value(CARD) == "0"


@on_a_machine
def test_the_switch_for_ipv6_puts_back_each_interface() -> None:
    """It rewrites them all, both times."""
    card()
    set_("net.ipv6.conf.cable.forwarding", "1")
    shared_sysctls.add("a", IPV6, "1")
    assert value("net.ipv6.conf.eth0.forwarding") == "1"
    shared_sysctls.remove("a", IPV6)
    assert [value(f"net.ipv6.conf.{name}.forwarding") for name in ("all", "eth0", "cable")] == [
        "0",
        "0",
        "1",
    ]


@on_a_machine
def test_who_was_killed_before_the_setting_is_mended() -> None:
    """The file is there, the setting is not: there is nothing to restore, and `add` sets it."""
    card()
    shared_sysctls.add("a", CARD, "1")
    set_(CARD, "0")
    Path(CLAIMS_DIR, f"{CARD}.new").write_text("{")
    shared_sysctls.remove("a", CARD)
    shared_sysctls.tidy()
    assert value(CARD) == "0"
    assert not Path(CLAIMS_DIR).exists()


@on_a_machine
def test_an_interface_that_went_is_no_trouble() -> None:
    """Nothing of it can be restored."""
    card()
    shared_sysctls.add("a", CARD, "1")
    ran("ip", "link", "del", "eth0")
    shared_sysctls.remove("a", CARD)
    assert shared_sysctls.claims() == {}


@on_a_machine
def test_a_claim_of_an_earlier_boot_is_none() -> None:
    """/run is no tmpfs everywhere."""
    card()
    shared_sysctls.add("a", CARD, "1")
    claim = shared_sysctls.claims()[CARD]
    assert claim == Claim(CARD, boot_id(), "0", "1", ("a",), {WHOLE: value(WHOLE)})
    Path(CLAIMS_DIR, CARD).write_bytes(json.encode(replace(claim, boot="another")))
    assert shared_sysctls.claims() == {}
    shared_sysctls.add("b", CARD, "1")
    assert shared_sysctls.claims()[CARD].holders == ("b",)
