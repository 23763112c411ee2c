"""Names that netloom gives: of the lab's own namespaces, bridges, and interfaces."""

from binascii import crc32

from netloom.values import IFNAMSIZ, is_if_text


def short_name(text: str) -> str:
    """Return an interface name for a longer text: its beginning, and a digest of the whole.

    The kernel takes 15 bytes, and no letter that looks like a blank to it; the whole text becomes
    an altname.
    """
    raw = text.encode()
    if len(raw) < IFNAMSIZ and is_if_text(text):
        return text
    start = "".join(filter(is_if_text, text)).encode()[:8].decode(errors="ignore")
    return f"{start or 'if'}-{crc32(raw) & 0xFFFFFF:06x}"


def altname(text: str) -> str:
    """Return what the interface of a text is called besides, empty where its name is the text."""
    return "" if short_name(text) == text else text


DEFAULT_MTU = 1500


TAP = "uplink"
"""The interface by which a user-mode program leads out; it makes it itself."""


def branch_of(lab: str, network: str) -> str:
    """Return the name of the bridge on the host that borrowed interfaces are ports of."""
    return short_name(f"{lab}.{network}")


def out_of(lab: str) -> str:
    """Return the name of the namespace that plays the host where `uplink: user` leads out."""
    return f"{lab}.out"


def switch_of(lab: str) -> str:
    """Return the name of the namespace that a lab's bridges stand in."""
    return f"{lab}.switch"
