"""What a plan has made, and what the kernel knows it by.

In namespaces that are new the executor chooses the indexes itself, so most is known without a
question; the rest is asked for at the end, many links of a namespace at once. What is not answered
is left out: such a link is told by its name and MAC address, as after a kill.
"""

from collections.abc import Mapping
from contextlib import suppress

from netloom.errors import FAILURES, Unavailable
from netloom.host.apply.netns_pool import NetnsPool
from netloom.model.identity import Identities, Identity, Pair
from netloom.model.objects import End
from netloom.wire.rtnetlink import get_link, read_links


class Made:
    """The namespaces and links that a plan makes; `cookies` are of namespaces that are found."""

    def __init__(self, cookies: Mapping[str, int]) -> None:
        """Begin with nothing made."""
        self._cookies = dict(cookies)
        self._pairs: dict[str, dict[str, Pair]] = {}
        self._unknown: dict[str, list[tuple[str, End | None]]] = {}

    def netns(self, name: str, cookie: int) -> None:
        """Note a new namespace."""
        self._cookies[name] = cookie
        self._pairs[name] = {}

    def link(self, end: End, index: int, far: End | None = None, far_index: int = 0) -> None:
        """Note a link, for a wire with its far end; an index that the kernel chose is 0."""
        if not index or (far is not None and not far_index):
            self._unknown.setdefault(end.netns, []).append((end.link, far))
        else:
            self._note(end, (index, far_index), far)

    def port(self, end: End) -> None:
        """Note an interface that was there before."""
        self._unknown.setdefault(end.netns, []).append((end.link, None))

    def _note(self, end: End, pair: Pair, far: End | None) -> None:
        self._pairs.setdefault(end.netns, {})[end.link] = pair
        if far is not None:
            self._pairs.setdefault(far.netns, {})[far.link] = pair[::-1]

    def identities(self, pool: NetnsPool) -> Identities:
        """Return what all of it is known by."""
        for name, links in self._unknown.items():
            with suppress(Unavailable, *FAILURES):
                rt = pool[name].rt
                self._cookies.setdefault(name, rt.cookie)
                answers = rt.ask_each([get_link(link) for link, _ in links])
                for (link, far), answer in zip(links, answers, strict=True):
                    if isinstance(answer, bytes):
                        seen = read_links([answer])[0]
                        self._note(End(name, link), (seen.index, seen.link_index), far)
        for name in self._pairs.keys() - self._cookies.keys():
            with suppress(Unavailable, *FAILURES):
                self._cookies[name] = pool[name].rt.cookie
        known = self._cookies
        return {
            name: Identity(known[name], at) for name, at in self._pairs.items() if name in known
        }
