"""The star that every subject makes: N members on one network, with the same default route.

Only where the names come from differs: each subject names its own.
"""

SUBNET = "10.64.0.0/16"
GATEWAY = "10.64.255.254"


def address(i: int) -> str:
    """Return the address of member `i`, counted from 0, without its length."""
    return f"10.64.{(i + 1) // 256}.{(i + 1) % 256}"


def members(n: int) -> list[str]:
    """Return the names of the members in a netloom lab."""
    return [f"n{i}" for i in range(n)]


def topology(n: int) -> str:
    """Return the topology file: every member by its name, as a generator would write it."""
    head = f"networks:\n  lan: {{subnet: {SUBNET}, gateway: {GATEWAY}}}\nnamespaces:\n"
    return head + "".join(f"  {name}: {{networks: [lan]}}\n" for name in members(n))
