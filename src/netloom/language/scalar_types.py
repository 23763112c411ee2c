"""The words of `scalars.py` as shapes: each with its name, a pattern, and what it is in a line.

Rule: a pattern lets through all that can be read, and perhaps a little more. It serves editors; the
reader alone decides.
"""

from collections.abc import Callable

from netloom import values
from netloom.language import publish, scalars
from netloom.language.schema_types import Word
from netloom.model import ready

_NAME = "[\\w\u0080-\U0010ffff][\\w.\u0080-\U0010ffff-]*"
_IF = r"[^\s/:]{1,15}"
_IP = r"[0-9A-Fa-f.:]+"
_LENGTH = "/[0-9]{1,3}"

_RESERVED = tuple(sorted(values.RESERVED))


def _but(*allowed: str) -> tuple[str, ...]:
    return tuple(word for word in _RESERVED if word not in allowed)


LAB = Word(
    name="NAME",
    says="the name of a lab",
    read=scalars.lab_name,
    pattern=f"^{_NAME}$",
    but=tuple(sorted(values.NO_LABS)),
)

COMMAND = Word(name="NAME", says="the name of a command", read=values.name, pattern=f"^{_NAME}$")

NETWORK_NAME = Word(
    name="NAME",
    says="the name of a network",
    read=scalars.free_name,
    pattern=f"^{_NAME}$",
    typed=("number", "boolean"),
    but=_RESERVED,
)

NETNS = Word(
    name="NAME",
    says="the name of a namespace, or `host`",
    read=scalars.netns_name,
    pattern=f"^{_NAME}$",
    typed=("number", "boolean"),
    but=_but("host"),
)

OUTSIDE = Word(
    name="NAME",
    says="the name of something outside of the lab, or `internet`",
    read=scalars.outside_name,
    pattern=f"^{_NAME}$",
    but=_but("internet"),
)

IF_NAME = Word(
    name="IF",
    says="the name of an interface, at most 15 bytes",
    read=values.if_name,
    pattern=f"^{_IF}$",
    typed=("number", "boolean"),
)

INTERFACE = Word(
    name="NS:IF",
    says="an interface of a namespace: `web:eth0`",
    read=scalars.interface,
    pattern=f"^{_NAME}:{_IF}$",
)

PREFIX = Word(
    name="PREFIX",
    says="a prefix without bits beyond its length: `10.0.0.0/24`",
    read=values.prefix,
    pattern=f"^{_IP}{_LENGTH}$",
)

ADDRESS = Word(name="ADDRESS", says="an IP address", read=values.ip, pattern=f"^{_IP}$")

MEMBER_ADDRESS = Word(
    name="ADDRESS[/LEN]",
    says="an address on the network; without a length, the subnet's holds",
    read=scalars.member_address,
    pattern=f"^({scalars.DYNAMIC}|{_IP}({_LENGTH})?)$",
)

INTERFACE_ADDRESS = Word(
    name="ADDRESS/LEN",
    says="an address with its length: `10.0.0.1/24`",
    read=scalars.interface_address,
    pattern=f"^({scalars.DYNAMIC}|{_IP}{_LENGTH})$",
)

PLACE = Word(
    name="NAME, NS:IF or ADDRESS",
    says="a namespace, an interface, something outside, or an address",
    read=scalars.place,
    pattern=r"^[^\s/,]+$",
)

END = Word(
    name="END",
    says="one end of a wire: `NS[:IF] [ADDRESS/LEN …]`",
    read=scalars.end,
    write=scalars.end_text,  # type: ignore[arg-type]  # writes what `read` gave
    pattern=rf"^\s*{_NAME}(:{_IF})?(\s+{_IP}{_LENGTH})*\s*$",
    typed=("number", "boolean"),
)

FLOW = Word(
    name="FLOW",
    says="an expectation: `SRC[,SRC…] ARROW DST[,DST…] [PORT] [ip4|ip6]`, arrows `->` `<->` `-/>`",
    read=scalars.flow,
    write=scalars.flow_text,  # type: ignore[arg-type]  # writes what `read` gave
    pattern=r"^\s*[^\s>][^>]*(->|<->|-/>)[^>]*[^\s>]\s*$",
)

ROUTE = Word(
    name="ROUTE",
    says="what follows `ip route add`; names may stand for addresses: `default via r1`",
    read=scalars.route,
    pattern=r"\S",
)

RULE = Word(
    name="RULE",
    says="what follows `ip rule add`: `fwmark 1 lookup 100`",
    read=scalars.route,
    pattern=r"\S",
)

PUBLISH = Word(
    name="[IP:]PORT:PORT[/udp]",
    says="a port of the host, and the port in the namespace: `8080:80`, `127.0.0.1:53:53/udp`; or "
    "as many: `8000-8010:8000-8010`",
    read=publish.publish,
    write=publish.publish_text,  # type: ignore[arg-type]  # writes what `read` gave
    pattern=r"^([0-9.]+:|\[[0-9A-Fa-f:.]+\]:)?[0-9]{1,5}(-[0-9]{1,5})?:[0-9]{1,5}(-[0-9]{1,5})?"
    r"(/([Tt][Cc][Pp]|[Uu][Dd][Pp]))?$",
)

READY = Word(
    name="READY",
    says="what a command is ready by: `tcp/80`, `udp/53`, `unix/PATH`, `log/TEXT`, `exit`",
    read=ready.parse_ready,
    pattern=r"^((tcp|udp)[/:][0-9]{1,5}|unix/[/@].+|log/(.|\n)+|exit)$",
)

RESTART = Word(
    name="RESTART",
    says="`on-failure`, or `on-failure:3`: three times at the most; `no`",
    read=scalars.restart,
    write=scalars.restart_text,  # type: ignore[arg-type]  # writes what `read` gave
    pattern=r"^(no|on-failure(:[1-9][0-9]{0,8})?)$",
    typed=("boolean",),
)

AFTER = Word(
    name="[NS/]NAME",
    says="a command, or a namespace, which means all its commands: `migrate`, `db/migrate`, `db`",
    read=scalars.after,
    pattern=rf"^({_NAME}/)?{_NAME}$",
)

SEGMENT = Word(
    name="SEGMENT",
    says="a bridge of the host, or a network of Docker's or another lab's: `virbr0`, "
    "`docker:web_default`, `shop/lan`",
    read=scalars.segment,
    pattern=rf"^(docker:[A-Za-z0-9][\w.-]*|[^\s/:]{{1,15}}|{_NAME}/{_NAME})$",
)

MAC = Word(
    name="MAC",
    says="a unicast Ethernet address: `52:54:00:12:34:56`",
    read=values.mac,
    pattern="^[0-9A-Fa-f][02468ACEace](:[0-9A-Fa-f]{2}){5}$",
)

MTU = Word(
    name="MTU",
    says="bytes, 68 to 65535",
    read=values.mtu,
    pattern="^[0-9]{1,9}$",
    typed=("integer",),
    bounds=(68, 65535),
)

COUNT = Word(
    name="COUNT",
    says=f"a number, 1 to {scalars.MAX_COUNT}",
    read=scalars.count,
    pattern="^[0-9]{1,9}$",
    typed=("integer",),
    bounds=(1, scalars.MAX_COUNT),
)

TRUTH = Word(
    name="BOOL",
    says="`true` or `false` (also `yes`, `no`, `on`, `off`)",
    read=scalars.truth,
    pattern=f"^({'|'.join(scalars.TRUTH)})$",
    typed=("boolean",),
)

SYSCTL = Word(
    name="SYSCTL",
    says="a setting of a network namespace: `net.ipv4.ip_forward`",
    read=scalars.sysctl,
    pattern=r"^net([./][^\s./]+)+$",
)

SETTING = Word(
    name="VALUE",
    says="the value of a sysctl",
    read=scalars.setting,
    pattern=r"^[^\n]*$",
    typed=("number", "boolean"),
)


def later(name: str, says: str = "", read: Callable[[str], object] = str) -> Word:
    """Return a word of a key that is not built yet."""
    return Word(name=name, says=says or name, read=read, typed=("number", "boolean"))


ETC_PATH = Word(
    name="PATH",
    says="a path below /etc: `motd`, `nginx/nginx.conf`",
    read=scalars.etc_path,
    pattern=r"^[^/\s][^\s]*$",
)

LINES = Word(
    name="TEXT", says="a text, of several lines perhaps", read=str, typed=("number", "boolean")
)

TEXT = Word(name="TEXT", says="a text", read=str, typed=("number", "boolean"))
PORT = later("PORT", "`tcp/80`, `udp/53` or `icmp`", scalars.port)
DELAY = later("TIME", "a time with its unit: `10ms`", scalars.delay)
RATE = later("RATE", "a rate with its unit: `100mbit`", scalars.rate)
SHARE = later("SHARE", "a share of the packets: `1%`", scalars.share)
