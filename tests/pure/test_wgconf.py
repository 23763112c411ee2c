"""WireGuard's files: what is read of them, and where their mistakes are."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netloom.errors import TopologyError
from netloom.wire.wgquick import Tunnel, WireGuardPeer, read_tunnel

KEY = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
CONF = f"""\
# of a provider
[Interface]
PrivateKey = {KEY}
Address = 10.9.0.2, fd00:9::2/128  # both families
dns = 10.9.0.53, corp.example
MTU = 1380
ListenPort = 51820

[Peer]
PublicKey = {KEY}
PresharedKey={KEY}
AllowedIPs = 0.0.0.0/0,::/0
AllowedIPs = 10.9.0.1/24
Endpoint = vpn.example.org:51820
PersistentKeepalive = 25
"""


def test_a_file_of_wg_quick_is_read() -> None:
    """Keys in any case, lists by commas or lines, comments; each value in its canonical form."""
    assert read_tunnel(CONF, "wg0.conf") == Tunnel(
        settings=(("PrivateKey", KEY), ("ListenPort", "51820")),
        addresses=("10.9.0.2/32", "fd00:9::2/128"),
        resolvers=("10.9.0.53",),
        search=("corp.example",),
        mtu=1380,
        peers=(
            WireGuardPeer(
                settings=(
                    ("PublicKey", KEY),
                    ("PresharedKey", KEY),
                    ("PersistentKeepalive", "25"),
                ),
                allowed=("0.0.0.0/0", "::/0", "10.9.0.0/24"),
                endpoint="vpn.example.org:51820",
            ),
        ),
    )


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("[Peer]", "[Pear]", "wg0.conf:9:1: no section is called `Pear`"),
        ("MTU = 1380", "MTU = 1", "wg0.conf:6:1: MTU: an MTU is 68 to 65535 bytes, not 1"),
        (
            "MTU = 1380",
            "  MUT = 1",
            "wg0.conf:6:3: no key of a section `interface` is called `MUT`",
        ),
        ("MTU = 1380", "PostUp = x", "wg0.conf:6:1: PostUp: not carried out here"),
        ("MTU = 1380", "1380", "wg0.conf:6:1: no `Key = value`"),
        ("10.9.0.2,", "10.9.0.256,", "wg0.conf:4:1: Address: `10.9.0.256` is no IP address"),
        (".org:51820", ".org", "wg0.conf:14:1: Endpoint: `vpn.example.org` is no host with a port"),
        ("= 25", "= 99999", "wg0.conf:15:1: PersistentKeepalive: `99999` is no port number"),
        (f"PrivateKey = {KEY}\n", "", "wg0.conf lacks a PrivateKey"),
        ("::/0", "::/129", "wg0.conf:12:1: AllowedIPs: `/129` is no prefix length"),
    ],
)
def test_a_mistake_is_told_at_its_line(right: str, wrong: str, said: str) -> None:
    """With file, line and column."""
    with pytest.raises(TopologyError) as caught:
        read_tunnel(CONF.replace(right, wrong), "wg0.conf")

    assert said in str(caught.value)


@pytest.mark.parametrize("wrong", [KEY[:-4], f"{KEY}!", f"!{KEY}", f"{KEY[:5]} {KEY[5:]}", KEY * 2])
def test_a_key_is_32_bytes_in_base64_and_nothing_else(wrong: str) -> None:
    """No sign is passed over."""
    with pytest.raises(TopologyError, match="PrivateKey: no key of 32 bytes in base64"):
        read_tunnel(CONF.replace(f"PrivateKey = {KEY}", f"PrivateKey = {wrong}"), "wg0.conf")


def test_no_key_is_ever_printed() -> None:
    """One that is nearly right is a secret still."""
    with pytest.raises(TopologyError) as caught:
        read_tunnel(CONF.replace(f"PrivateKey = {KEY}", "PrivateKey = secret"), "wg0.conf")

    assert str(caught.value).startswith(
        "wg0.conf:3:1: PrivateKey: no key of 32 bytes in base64, such as `wg genkey` prints\n"
        "  3 | PrivateKey = …\n"
    )


@given(
    st.lists(st.sampled_from([*CONF.splitlines(), "[Interface]", "=", "A=b", "[x]", "DNS=", "\t#"]))
)
def test_any_lines_are_read_or_refused(lines: list[str]) -> None:
    """Either a tunnel comes out, or a refusal of ours, and nothing else."""
    with suppress(TopologyError):
        read_tunnel("\n".join(lines), "f")
