"""What is at hand while a plan is carried out: open namespaces, a batch of messages, index numbers.

Neighbouring steps for one namespace become one batch of netlink messages, sent when the next step
is for another namespace or is no netlink message; so what a batch costs is the kernel's own work.
Index numbers of links in namespaces made here are chosen here, so that a message may speak of a
link that an earlier message of the same batch makes.

Rule 1: the kernel goes on with a batch after a refused message, so after a refusal nothing is known
of the steps of that batch: whoever undoes must look again, and does.
"""

import errno
from contextlib import suppress
from itertools import count  # noqa: TC003 - what an executor holds, told where it is made
from typing import TYPE_CHECKING, assert_never

from netloom.errors import FAILURES, KernelError, Refused, failure, quoted
from netloom.host import etc
from netloom.host.apply.made import Made
from netloom.host.apply.netns_pool import NetnsPool
from netloom.host.apply.options import ApplyOptions
from netloom.model.objects import End
from netloom.plan import steps
from netloom.plan.steps import Plan, Step
from netloom.render.script import command
from netloom.render.text import line
from netloom.wire.rtnetlink import Message, get_link, read_links

if TYPE_CHECKING:
    from netloom.host.firewall.rulesets import Rulesets

_BATCH = 256
"""Steps in a batch at the most, so that progress and Ctrl-C are noticed."""

_GONE = {errno.ENODEV, errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL}


def _may_be_gone(step: Step) -> bool:  # noqa: PLR0911 - a table
    """Whether what a step takes away may have gone with something else just before."""
    match step:
        case steps.LinkDel() | steps.PortDel() | steps.AltnameDel() | steps.AddrDel():
            return True
        case steps.RouteDel() | steps.RuleDel():
            return True
        case steps.LinkAdd() | steps.LinkSet() | steps.PortAdd() | steps.AltnameAdd():
            return False
        case steps.AddrAdd() | steps.RouteAdd() | steps.RouteReplace() | steps.RuleAdd():
            return False
        case steps.NetnsAdd() | steps.NetnsDel() | steps.NameDel() | steps.SysctlSet():
            return False
        case steps.EtcSet() | steps.EtcDel() | steps.RulesetSet() | steps.RulesetDel():
            return False
        case steps.ClaimAdd() | steps.ClaimDel() | steps.ExceptionAdd() | steps.ExceptionDel():
            return False
        case steps.RunStart() | steps.RunStop():
            return False
        case _:
            assert_never(step)


def _remedy(step: Step, error: KernelError) -> str:
    """Return the command that lets a refused step be done, empty where none is known."""
    if not isinstance(step, steps.AddrAdd) or (step.addr.family, error.errno) != (6, errno.EACCES):
        return ""
    key = f"net.ipv6.conf.{step.end.link.replace('.', '/')}.disable_ipv6"  # by a VPN, a person
    return f"netloom exec {quoted(step.end.netns)} sysctl -w {quoted(f'{key}=0')}, then netloom up"


def count_netns_add(plan: Plan) -> int:
    """Return how many namespaces a plan makes."""
    return sum(isinstance(step, steps.NetnsAdd) for step in plan)


class Executor:
    """Carries out a plan: what is open, what is gathered, what was refused."""

    def __init__(self, plan: Plan, options: ApplyOptions) -> None:
        """Begin with nothing gathered; new namespaces are begun at once."""
        self.options = options
        self.refused: list[Refused] = []
        self._rulesets: Rulesets | None = None
        self.pool = NetnsPool(count_netns_add(plan), options.preallocator)
        self.indexes = {end: given.index for end, given in options.snapshot.given.items()}
        self.fresh: dict[str, count[int]] = {}
        self.made = Made(options.snapshot.cookies)
        self.batch: list[tuple[Step, Message]] = []
        self.where = ""
        self.steps_in_batch = 0
        self.etc = etc.Etc(options.lab)
        self.peers: dict[End, End] = {}
        self.raised: set[End] = set()
        self.unsettled: dict[str, list[int]] = {}

    @property
    def rulesets(self) -> "Rulesets":
        """The conversation about firewall rules, begun when it is needed."""
        if self._rulesets is None:
            from netloom.host.firewall.rulesets import Rulesets

            self._rulesets = Rulesets(self.options.lab, self.options.library)
        return self._rulesets

    def close(self) -> None:
        """Let go of all that is open; what is refused of that changes nothing."""
        with suppress(*FAILURES):
            if self._rulesets:
                self._rulesets.close()
        self.pool.close()

    def note_up(self, end: End) -> None:
        """Note that a link is set up: then the far end, if it was up before, gets its carrier."""
        self.raised.add(end)
        far = self.peers.get(end)
        if far and far in self.raised:
            self.unsettled.setdefault(far.netns, []).append(self.index(far))

    def settle(self) -> None:
        """Have the kernel see to the carrier of links that were up before their far ends.

        Such a link sends nothing, and a bridge passes nothing on to it, until its carrier was dealt
        with (linkwatch_do_dev), which else a worker of the kernel does in its own time: whoever
        asks for a neighbour in between asks again after a second. To be asked for the link makes
        the kernel do it now (rtnl_getlink, Linux 6.14). Namespaces that are closed again by now
        have had the time. Where that is refused, the kernel does it in its own time.
        """
        with suppress(*FAILURES):
            for name, indexes in self.unsettled.items():
                if netns := self.pool.opened(name):
                    netns.rt.ask_each([get_link(index=each) for each in indexes])

    def note(self, step: Step, error: KernelError) -> None:
        """Note a refusal; that what shall go is gone already is none.

        The kernel takes namespaces apart in its own time: the far end of a wire may vanish between
        our look and our word.
        """
        if error.errno in _GONE and _may_be_gone(step):
            return
        if self.options.go_on or not self.refused:
            remedy = _remedy(step, error)
            self.refused.append(Refused(line(step), error, asked=command(step), remedy=remedy))

    def flush_or_note(self) -> None:
        """Send what has been gathered; note what is refused.

        Where the answers are lost, nothing is known of any: the first is noted.
        """
        batch, self.batch = self.batch, []
        self.steps_in_batch = 0
        if not batch:
            return
        try:
            rt = self.pool[self.where].rt
            for error in rt.batch_all([message for _, message in batch]):
                self.note(batch[error.index][0], error)
        except FAILURES as error:
            self.note(batch[0][0], failure(error))

    # ── batches and indexes ───────────────────────────────────────────────────────────────────

    def send(self, name: str, step: Step, *messages: Message) -> None:
        """Put messages into the batch for a namespace."""
        if name != self.where or self.steps_in_batch >= _BATCH:
            self.turn_to(name)
        self.steps_in_batch += 1
        self.batch += [(step, message) for message in messages]

    def turn_to(self, name: str) -> None:
        """Send the batch that is gathered, and begin one for another namespace."""
        if self.batch:
            self.flush_or_note()
        self.where = name
        self.steps_in_batch = 0

    def index(self, end: End) -> int:
        """Return the index of a link: known, chosen by us, or asked for."""
        index = self.indexes.get(end, 0)
        if not index:
            self.turn_to(self.where)
            answer = self.pool[end.netns].rt.ask(get_link(end.link))
            index = self.indexes[end] = read_links([answer])[0].index
        return index

    def choose_index(self, end: End, *, beside: int = 1) -> int:
        """Choose the index of a link to be made, in a namespace that we made just now; else 0.

        A far end's is looked at only `beside` a near one (veth_newlink). Where the kernel
        has chosen one, we choose no more: it takes the lowest that is free, and we would
        meet it.
        """
        numbers = self.fresh.get(end.netns)
        if numbers is None or not beside:
            self.fresh.pop(end.netns, None)
            self.indexes.pop(end, None)
            return 0
        index = self.indexes[end] = next(numbers)
        return index
