"""The socket: what is asked of a real kernel is done, and what it refuses is told."""

import socket
import threading
from collections.abc import Callable
from errno import EADDRNOTAVAIL, EAGAIN, EEXIST, EINVAL, ENETUNREACH, ENODEV
from struct import pack

import pytest

from netloom.errors import KernelError
from netloom.kernel.netlink import DUMP_ATTEMPTS, Rtnetlink
from netloom.model.objects import Addr, Bridge, End, Link, Nexthop, Route, Veth
from netloom.wire.constants import NLM_F_DUMP_INTR, NLM_F_MULTI, NLMSG_DONE
from netloom.wire.dialogue import Exchange, Waiting, frame
from netloom.wire.rtnetlink import (
    Message,
    VethPeer,
    addr_add,
    addr_del,
    dump_addrs,
    dump_links,
    get_link,
    link_add,
    link_set,
    nsid_get,
    read_addrs,
    read_links,
    read_nsid,
    route_add,
)
from tests.hosts.netns import Netns

New = Callable[[], Netns]


def veth(number: int, side: int = 2) -> Link:
    """Return one end of a veth with a MAC address of its own."""
    mac = f"{side:02x}:00:00:00:{number >> 8:02x}:{number & 255:02x}"
    return Link(kind=Veth(End("", "")), mac=mac, mtu=1500)


def bridge(mtu: int = 1500) -> Link:
    """Return a bridge."""
    return Link(kind=Bridge(), mac="02:00:00:ff:00:01", mtu=mtu)


def test_a_refusal_tells_the_place_the_errno_and_the_kernels_words(netns: Netns) -> None:
    """The second address is there already; those around it are made all the same."""
    one, two = Addr("10.0.0.1", 24), Addr("10.0.0.2", 24)

    with pytest.raises(KernelError) as caught:
        netns.rt.batch([addr_add(1, one), addr_add(1, one), addr_add(1, two)])

    assert (caught.value.index, caught.value.errno) == (1, EEXIST)
    assert "already assigned" in caught.value.extack
    assert [seen.addr.ip for seen in read_addrs(netns.rt.dump(dump_addrs()))] == [one.ip, two.ip]


def test_the_first_of_several_refusals_is_told(netns: Netns) -> None:
    """Later ones often follow from it."""
    messages = [addr_add(1, Addr("10.0.0.1", 24)), addr_del(1, Addr("10.9.9.9", 8))]

    with pytest.raises(KernelError) as caught:
        netns.rt.batch([*messages, addr_add(77, Addr("10.0.0.1", 24))])

    assert (caught.value.index, caught.value.errno) == (1, EADDRNOTAVAIL)


def test_a_refusal_far_behind_has_its_place_in_the_whole_batch(netns: Netns) -> None:
    """Two thousand messages are several sends; the place is counted over all of them."""
    messages = [addr_add(1, Addr(f"10.0.{n >> 8}.{n & 255}", 32)) for n in range(2000)]
    messages[1900] = addr_add(77, Addr("10.0.0.1", 24))

    with pytest.raises(KernelError) as caught:
        netns.rt.batch(messages)

    assert (caught.value.index, caught.value.errno) == (1900, ENODEV)


def test_more_refusals_than_the_receive_buffer_holds(netns: Netns) -> None:
    """The kernel drops the latest answers and says ENOBUFS; the first refusal is still told."""
    netns.bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    rt = Rtnetlink(netns.bare)

    with pytest.raises(KernelError) as caught:
        rt.batch([addr_add(77, Addr("10.0.0.1", 24))] * 500)

    assert (caught.value.index, caught.value.errno) == (0, ENODEV)
    assert len(rt.dump(dump_links())) == 1


def test_a_batch_of_nothing_asks_nothing(netns: Netns) -> None:
    """An empty plan is legal, and no send is made that nobody would answer."""
    netns.rt.batch([])


def test_a_dump_of_a_thousand_links_is_complete(netns: Netns) -> None:
    """It takes dozens of receives; every link is told of once."""
    pairs = [
        link_add(f"a{n}", veth(n), index=1000 + n, peer=VethPeer(f"b{n}", veth(n, 6), 3000 + n))
        for n in range(600)
    ]
    netns.rt.batch(pairs)

    seen = read_links(netns.rt.dump(dump_links()))

    assert len(seen) == 1201
    assert {link.index for link in seen} == {1, *range(1000, 1600), *range(3000, 3600)}
    assert {link.name for link in seen} == {link["ifname"] for link in netns.ip("link")}
    assert [link.name for link in seen if link.link_index == 1007] == ["b7"]


def many_addrs(netns: Netns) -> None:
    """Give `lo` more addresses than fit one receive."""
    netns.rt.batch([addr_add(1, Addr(f"10.0.{n >> 8}.{n & 255}", 32)) for n in range(1500)])


def test_the_kernel_tells_that_things_changed_under_a_dump(netns: Netns) -> None:
    """An address that is added between two receives marks the dump (NLM_F_DUMP_INTR)."""
    many_addrs(netns)
    exchange = Exchange(7)
    netns.bare.send(frame([dump_addrs()], 7))
    answer = exchange.feed(netns.bare.recv(65536))
    netns.rt.batch([addr_add(1, Addr("10.99.0.1", 32))])

    while isinstance(answer, Waiting):
        answer = exchange.feed(netns.bare.recv(65536))

    assert answer.interrupted


def test_a_dump_works_after_one_was_abandoned(netns: Netns) -> None:
    """The kernel keeps one dump for each socket; a Ctrl-C may leave one half read."""
    many_addrs(netns)
    netns.bare.send(frame([dump_addrs()], 0xFFFF))

    assert len(read_addrs(Rtnetlink(netns.bare).dump(dump_addrs()))) == 1500


def scripted(*answers: bytes) -> tuple[Rtnetlink, socket.socket]:
    """Return a conversation in which the other side has said all its answers beforehand."""
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    for answer in answers:
        kernel.send(answer)
    return Rtnetlink(ours), kernel


def done(sequence: int, flags: int = 0) -> bytes:
    """Return the end of a dump."""
    return pack("=IHHIIi", 20, NLMSG_DONE, NLM_F_MULTI | flags, sequence, 0, 0)


def test_an_interrupted_dump_is_begun_anew() -> None:
    """What was read before is forgotten."""
    link = pack("=IHHII4s", 20, 16, NLM_F_MULTI, 1, 0, b"once")
    again = pack("=IHHII4s", 20, 16, NLM_F_MULTI, 2, 0, b"anew")
    rt, kernel = scripted(link, done(1, NLM_F_DUMP_INTR), again, done(2))

    with kernel, rt:
        assert rt.dump(dump_links()) == [b"anew"]


def test_a_dump_that_is_always_interrupted_gives_up() -> None:
    """Things that never rest cannot be told of as they are."""
    rt, kernel = scripted()

    def answer() -> None:
        for sequence in range(1, DUMP_ATTEMPTS + 1):
            kernel.recv(100)
            kernel.send(done(sequence, NLM_F_DUMP_INTR))

    thread = threading.Thread(target=answer)
    thread.start()
    with kernel, rt, pytest.raises(KernelError, match="changed during each of") as caught:
        rt.dump(dump_links())
    thread.join(30)

    assert caught.value.errno == EAGAIN


def test_what_the_kernel_says_of_a_gateway_is_passed_on(netns: Netns) -> None:
    """Its own words tell more than the errno."""
    netns.rt.batch(link_set(1, up=True))
    route = Route("10.9.0.0/16", (Nexthop("lo", "192.0.2.1"),))

    with pytest.raises(KernelError, match="Nexthop has invalid gateway") as caught:
        netns.rt.batch([route_add(route, {"lo": 1})])

    assert caught.value.errno == ENETUNREACH


def test_a_question_about_a_link_that_is_not_there(netns: Netns) -> None:
    """The answer is the refusal."""
    with pytest.raises(KernelError) as caught:
        netns.rt.ask(get_link("eth7"))

    assert caught.value.errno == ENODEV


def test_many_questions_are_answered_in_their_order(netns: Netns) -> None:
    """A refusal stands in its place among the answers."""
    netns.rt.batch([link_add(f"br{n}", bridge(), index=10 + n) for n in range(100)])

    answers = netns.rt.ask_each([get_link(f"br{n}") for n in range(0, 200, 2)])

    good = [answer for answer in answers if isinstance(answer, bytes)]
    assert [link.name for link in read_links(good)] == [f"br{n}" for n in range(0, 100, 2)]
    assert [answer.index for answer in answers[50:] if isinstance(answer, KernelError)] == [
        *range(50, 100)
    ]


def test_unknown_attributes_are_refused_in_questions(netns: Netns) -> None:
    """Strict checking is on, so that no filter of ours is silently ignored."""
    bad = dump_links()._replace(body=dump_links().body[:4] + b"\1\0\0\0" + dump_links().body[8:])

    with pytest.raises(KernelError) as caught:
        netns.rt.dump(Message(*bad))

    assert caught.value.errno == EINVAL


def test_a_cookie_tells_namespaces_apart(new_netns: New) -> None:
    """Two sockets in one namespace have the same, in two another."""
    one, two = new_netns(), new_netns()

    assert one.rt.cookie == Rtnetlink(one.bare).cookie != two.rt.cookie


def test_a_namespace_gets_an_id_when_a_wire_leads_to_it(new_netns: New) -> None:
    """The link tells the id, and the question by descriptor tells the same."""
    near, far = new_netns(), new_netns()
    assert read_nsid(near.rt.ask(nsid_get(far.fd))) is None
    near.rt.batch([link_add("a", veth(1), index=5, peer=VethPeer("b", veth(1, 6), 7, far.fd))])

    (link,) = read_links([near.rt.ask(get_link("a"))])

    assert link.link_netnsid == read_nsid(near.rt.ask(nsid_get(far.fd)))
    assert link.link_index == 7


def test_a_socket_serves_a_thread_that_never_saw_its_namespace(netns: Netns) -> None:
    """A socket keeps its namespace; the receive buffer belongs to the thread."""
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(len(netns.rt.dump(dump_links()))))
    thread.start()
    thread.join(30)

    assert seen == [1]
