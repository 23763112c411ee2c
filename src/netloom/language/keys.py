"""Every key of the topology language: name, shape of the value, and a line that says what it is.

This table is the language. The reader, the writer, the JSON Schema, did-you-mean and the reference
pages are all driven by it; what it marks `later` is known to all, and refused by the reader.
"""

from netloom.language.scalar_types import (
    ADDRESS,
    AFTER,
    COMMAND,
    COUNT,
    END,
    ETC_PATH,
    FLOW,
    IF_NAME,
    INTERFACE_ADDRESS,
    LAB,
    LINES,
    MAC,
    MEMBER_ADDRESS,
    MTU,
    NETNS,
    NETWORK_NAME,
    OUTSIDE,
    PLACE,
    PREFIX,
    PUBLISH,
    READY,
    RESTART,
    ROUTE,
    RULE,
    SEGMENT,
    SETTING,
    SYSCTL,
    TEXT,
    TRUTH,
)
from netloom.language.schema_types import Choice, Key, Many, Mapped, Named, keyed
from netloom.language.topology import (
    InterfaceSpec,
    Membership,
    NamespaceSpec,
    NetworkSpec,
    RunSpec,
    TextSpec,
    Topology,
    Uplink,
    WireSpec,
)
from netloom.language.unbuilt import IMPAIRMENTS, INTERFACE_LATER, PAIRS

_ONE_SUBNET = Many(item=PREFIX, none=True, most=1, instead="`subnets` takes several")
_SUBNETS = Many(item=PREFIX, none=True)
_OUTSIDE = Named(key=OUTSIDE, value=Many(item=ADDRESS, least=1), bare=False)
_DNS = Many(item=PLACE, none=True)

_FILE = Mapped(
    noun="file",
    says="A text, or a file that holds it.",
    make=TextSpec,
    text="text",
    keys=keyed(
        Key("text", LINES, "the text itself"),
        Key("file", TEXT, "the path of a file, from the folder of the topology file"),
    ),
)

UPLINK = Mapped(
    noun="uplink",
    says="How a network reaches beyond the host.",
    make=Uplink,
    text="mode",
    needs="mode",
    keys=keyed(
        Key(
            "mode",
            Choice(now=("nat", "routed", "user")),
            "`nat`: by an address of the host's; `routed`: by its own, which others must know; "
            "`user`: by a program (pasta, slirp4netns), with nothing changed on the host",
        ),
        Key(
            "via",
            Many(item=IF_NAME),
            "the interfaces of the host that lead out; absent: where its routes and rules lead",
        ),
    ),
)

RUN = Mapped(
    noun="run",
    says="A command: it lives as long as the lab, or does its work and ends with 0.",
    make=RunSpec,
    text="command",
    needs="command",
    keys=keyed(
        Key("command", Many(item=LINES, least=1), "text for `sh -c`, or a list of arguments"),
        Key(
            "ready",
            READY,
            "what shows that it is ready: `tcp/80`, `unix/PATH`, `log/TEXT`, or its end: `exit`",
        ),
        Key(
            "after",
            Many(item=AFTER),
            "what must be ready before it starts: a command, `NS/NAME`, or all of a namespace",
        ),
        Key("restart", RESTART, "`on-failure`: it is started again when it fails"),
        Key("name", COMMAND, "its name in the logs; the program's unless said otherwise"),
        Key("env", Named(key=TEXT, value=LINES, bare=False), "what is added to its environment"),
        Key("user", TEXT, "the user it runs as"),
        Key("cwd", TEXT, "the folder it runs in; the topology file's unless said otherwise"),
    ),
)

NETWORK = Mapped(
    noun="network",
    says="One L2 segment.",
    make=NetworkSpec,
    text="subnet",
    items="subnets",
    keys=keyed(
        Key("subnet", _ONE_SUBNET, "the prefix; `none`: L2 only; absent: derived", field="subnets"),
        Key("subnets", _SUBNETS, "the prefixes, where there are several"),
        Key("range", Many(item=PREFIX), "the part of the subnet that addresses are derived from"),
        Key(
            "driver",
            Choice(now=("bridge",), later=("ovs", "macvlan", "ipvlan")),
            "what carries the segment; `bridge` unless said otherwise",
            kept=False,
        ),
        Key("parent", TEXT, "the NIC below a macvlan or ipvlan network", later=True),
        Key("mode", TEXT, "the mode of a macvlan or ipvlan network", later=True),
        Key(
            "from",
            SEGMENT,
            "the segment to join: `virbr0`, `docker:NETWORK`, `LAB/NETWORK`; ports come and go",
            field="joins",
        ),
        Key("bridge", IF_NAME, "the name of the bridge device; it then stands on the host"),
        Key("uplink", UPLINK, "the way out: `nat`, `routed` or `user`"),
        Key("gateway", PLACE, "where the default route of all members leads"),
        Key("dns", _DNS, "the resolvers of the members; `none`: the machine's own file"),
        Key("mtu", MTU, "the MTU of the segment and its members"),
        Key("stp", TRUTH, "whether the bridge speaks the spanning tree protocol"),
        *IMPAIRMENTS,
        Key("pairs", PAIRS, "impairments of a pair: `n1 <-> n3: {delay: 80ms}`", later=True),
    ),
)

MEMBERSHIP = Mapped(
    noun="membership",
    says="How a namespace takes part in a network.",
    make=Membership,
    text="addresses",
    items="addresses",
    keys=keyed(
        Key(
            "addresses",
            Many(item=MEMBER_ADDRESS, none=True),
            "on the network; `none`: none; `dynamic`: a program gives them; absent: derived",
        ),
        Key("interface", IF_NAME, "the name of the interface; the network's unless said"),
        Key("mac", MAC, "its Ethernet address"),
        Key("mtu", MTU, "its MTU"),
        Key("vlan", COUNT, "the VLAN of this member", later=True),
        Key("trunk", Many(item=COUNT), "the VLANs that pass tagged", later=True),
        Key("isolated", TRUTH, "whether isolated ports see each other", later=True),
        Key("hairpin", TRUTH, "whether frames may return through the port", later=True),
        *IMPAIRMENTS,
        Key("->", PAIRS.value, "impairments away from the member", later=True),
        Key("<-", PAIRS.value, "impairments towards the member", later=True),
    ),
)

INTERFACE = Mapped(
    noun="interface",
    says="One interface of a namespace: its addresses and settings.",
    make=InterfaceSpec,
    text="kind",
    keys=keyed(
        Key(
            "addresses",
            Many(item=INTERFACE_ADDRESS, none=True),
            "with their lengths; `none`: none; `dynamic`: a program gives them",
        ),
        Key("mac", MAC, "its Ethernet address"),
        Key("mtu", MTU, "its MTU"),
        Key("up", TRUTH, "whether it is set up; true unless said otherwise"),
        Key("network", NETWORK_NAME, "the network that it is a port of: an interface of `host`"),
        *INTERFACE_LATER,
    ),
)

_NETWORKS = Named(key=NETWORK_NAME, value=MEMBERSHIP)
_INTERFACES = Named(key=IF_NAME, value=INTERFACE)

_NAMESPACE_KEYS = (
    Key("from", TEXT, "an existing namespace that takes part: `docker:web`", later=True),
    Key("count", COUNT, "how many: 5 makes `n1` to `n5`; addresses count up"),
    Key("networks", _NETWORKS, "the networks it is a member of"),
    Key("interfaces", _INTERFACES, "its interfaces"),
    Key("routes", Many(item=ROUTE), "its routes, as `ip route add` takes them"),
    Key("rules", Many(item=RULE), "its routing rules, as `ip rule add` takes them"),
    Key("forwarding", TRUTH, "whether it forwards; true where some `via` or `gateway` leads to it"),
    Key("sysctls", Named(key=SYSCTL, value=SETTING, bare=False), "its settings below `net`"),
    Key("firewall", _FILE, "chains and sets, as nft(8) takes them inside `table inet … { }`"),
    Key("iptables", _FILE, "IPv4 rules, as `iptables-restore` takes them"),
    Key("ip6tables", _FILE, "IPv6 rules, as `ip6tables-restore` takes them"),
    Key("dns", _DNS, "its resolvers; `none`: the machine's own file"),
    Key("hosts", _OUTSIDE, "names and addresses to add to its hosts file"),
    Key(
        "etc",
        Named(key=ETC_PATH, value=_FILE, bare=False),
        "files that stand below /etc in it: `motd: hello`, `nginx: {file: conf.d}`",
    ),
    Key("publish", Many(item=PUBLISH), "ports of the host that lead inwards: `8080:80`"),
    Key("run", Many(item=RUN), "commands: servers, and what sets something up"),
)

NAMESPACE = Mapped(
    noun="namespace",
    says="One namespace, or `count` of them.",
    make=NamespaceSpec,
    text="from",
    keys=keyed(*_NAMESPACE_KEYS),
)

_ON_THE_HOST = ("networks", "interfaces", "routes")
_HOST_FORWARDING = Key("forwarding", TRUTH, "whether it leads from one wire or network to another")

HOST = Mapped(
    noun="namespace",
    says="The namespace that netloom runs in.",
    make=NamespaceSpec,
    keys=keyed(
        *(
            key
            if key.later or key.name in _ON_THE_HOST
            else Key(key.name, key.shape, key.says, later=True, hint="it changes the host itself")
            for key in _NAMESPACE_KEYS
            if key.name != _HOST_FORWARDING.name
        ),
        _HOST_FORWARDING,
    ),
)

LINK = Mapped(
    noun="link",
    says="A wire: `[A, B]`, `[A, B, {mtu: 1400}]`, or a mapping with `ends`.",
    make=WireSpec,
    text="ends",
    items="ends",
    needs="ends",
    trailing=True,
    keys=keyed(
        Key(
            "ends",
            Many(item=END, least=2, most=2, instead="write `[A, B]`"),
            "the two ends",
        ),
        Key("subnet", _ONE_SUBNET, "`none`: no addresses; absent: derived", field="subnets"),
        Key("subnets", _SUBNETS, "the prefixes, where there are several"),
        Key("mtu", MTU, "the MTU of both ends"),
        *IMPAIRMENTS,
        Key("->", PAIRS.value, "impairments from the first end to the second", later=True),
        Key("<-", PAIRS.value, "impairments from the second end to the first", later=True),
    ),
)

TOPOLOGY = Mapped(
    noun="topology",
    says="A lab of network namespaces.",
    make=Topology,
    extensions=True,
    keys=keyed(
        Key("name", LAB, "the name of the lab; the file's unless said otherwise"),
        Key("networks", Named(key=NETWORK_NAME, value=NETWORK), "the networks"),
        Key(
            "namespaces",
            Named(key=NETNS, value=NAMESPACE, special={"host": HOST}),
            "the namespaces; absent: those of the links",
        ),
        Key("links", Many(item=LINK), "the wires"),
        Key("hosts", _OUTSIDE, "names for things outside of the lab"),
        Key("expect", Many(item=FLOW), "what must, and must not, get through"),
        Key("pool", Many(item=PREFIX), "the prefixes that derived subnets are cut from"),
        Key("routing", Choice(now=("static",)), "`static`: routes between all subnets of the lab"),
    ),
)
