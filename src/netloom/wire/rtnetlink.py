"""rtnetlink, whole: questions and requests about links, addresses, routes and rules, and answers.

Each noun has its own file; from here all of them are imported. A *builder* (`link_add`,
`dump_routes`) returns a `Message`, which `dialogue` frames and numbers; a *reader* (`read_links`)
takes the payloads of answers.
"""

from netloom.wire.addrs import SeenAddr, addr_add, addr_del, dump_addrs, read_addrs
from netloom.wire.attributes import Malformed
from netloom.wire.link_decode import SeenLink, read_links
from netloom.wire.links import (
    VethPeer,
    altname_add,
    altname_del,
    bridge_mtu,
    dump_links,
    get_link,
    kind_add,
    link_add,
    link_del,
    link_del_group,
    link_group,
    link_set,
)
from netloom.wire.message import Message
from netloom.wire.nsid import nsid_get, read_nsid
from netloom.wire.routes import (
    ASKED_FOR,
    dump_routes,
    read_routes,
    route_add,
    route_del,
    route_replace,
)
from netloom.wire.rules import dump_rules, read_rules, rule_add, rule_del

__all__ = [
    "ASKED_FOR",
    "Malformed",
    "Message",
    "SeenAddr",
    "SeenLink",
    "VethPeer",
    "addr_add",
    "addr_del",
    "altname_add",
    "altname_del",
    "bridge_mtu",
    "dump_addrs",
    "dump_links",
    "dump_routes",
    "dump_rules",
    "get_link",
    "kind_add",
    "link_add",
    "link_del",
    "link_del_group",
    "link_group",
    "link_set",
    "nsid_get",
    "read_addrs",
    "read_links",
    "read_nsid",
    "read_routes",
    "read_rules",
    "route_add",
    "route_del",
    "route_replace",
    "rule_add",
    "rule_del",
]
