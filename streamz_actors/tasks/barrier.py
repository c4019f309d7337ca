"""What stands behind the state of a task: agents and slow calls that a commit has to wait for.

An operator's state goes ahead when a record is stepped: a window is closed, a count is raised. What comes of it may lie
with a leg for long. If the state were committed meanwhile, and the worker died, the record would come again, but not
what came of it: the window is closed already. So a task is committed only when nothing is left behind its state.

                 a commit is due                        nothing is left
    steps ──────────────────────────▶ held: no steps ──────────────────▶ committed ──▶ steps

How long that takes is bounded by how much is given to these legs: what they do in `LONG`, as far as it is known.

Under exactly-once nothing above the offsets that a transaction commits may have had an effect, for it comes again. So
there all legs are waited for, unless a transaction may end in the middle of their rows (`ends_anywhere`).
"""

from collections.abc import Callable, Mapping
from typing import Final

from streamz_actors.dataflow.node import Leg, Node, SourceNode
from streamz_actors.dataflow.subtopologies import SubTopology

FIRST: Final = 256
"""Rows behind the state at which no more records are stepped, as long as nothing is known of how fast they are done."""
MOST: Final = 4_096
LEAST: Final = 4
"""By row that can be worked on at a time: so many at the least."""
LONG: Final = 1.0
"""Seconds that a commit may wait, as far as it is up to this."""
GROWTH: Final = 4
"""By how much the limit goes up at a time."""


class Barrier:
    """`legs`: those behind the state, and those that give rows to them. `now`: the clock, in seconds.

    `exact`: under exactly-once, the seconds that a commit may wait. A leg that none waits for is told to keep order.
    """

    def __init__(
        self, sub: SubTopology, legs: Mapping[Node, Leg], now: Callable[[], float], exact: float | None = None
    ) -> None:
        self._long = LONG if exact is None else exact
        if exact is None:
            behind = behind_state(sub)
        elif ends_anywhere(sub, legs):
            behind = set()
            for leg in legs.values():
                leg.keep_order()
        else:
            behind = set(legs)
        self._behind = tuple(leg for node, leg in legs.items() if node in behind)
        feeding = feeding_into(sub, {node for node in legs if node in behind})
        self.legs = tuple(leg for node, leg in legs.items() if node in behind or node in feeding)
        self._now = now
        self._least = LEAST * sum(leg.width for leg in self.legs)
        self._limit = max(FIRST, self._least)
        self.stepped = 0
        """Records since the last commit; to be counted by whoever steps them."""
        self.held = False
        """A commit waits: no record is to be stepped."""
        self._since, self._waiting = 0.0, 0

    @property
    def clear(self) -> bool:
        """Whether nothing is left behind the state."""
        return all(leg.idle() and not leg.pending() for leg in self._behind) and not any(leg.gives for leg in self.legs)

    def room(self, most: int) -> int:
        """How many records may be stepped now, `most` at the most."""
        if not self.legs:
            return most
        left = self._limit - self._pending()
        return min(most, left) if left * 4 >= self._limit else 0

    def _pending(self) -> int:
        return sum(leg.pending() for leg in self.legs)

    def hold(self) -> None:
        """A commit waits from now on. Lists that agents gather are handed out as they are: no more will come."""
        if self.held or not self.legs:
            return
        self.held = True
        self._since, self._waiting = self._now(), self._pending()
        for leg in self._behind:
            leg.hurry(True)

    def release(self) -> None:
        """The task is committed."""
        took = self._now() - self._since if self.held else 0.0
        full = self.stepped >= self._limit
        self._limit = next_limit(self._limit, self._least, self._waiting, took, full=full, long=self._long)
        self.stepped = 0
        if self.held:
            self.held = False
            for leg in self._behind:
                leg.hurry(False)


def next_limit(limit: int, least: int, waiting: int, took: float, *, full: bool, long: float = LONG) -> int:
    """The limit after a commit that waited `took` seconds for `waiting` rows. `full`: it may have kept some back."""
    if took > long:
        return max(least, min(limit, int(waiting * long / took)))
    if full and took < long / GROWTH:
        return max(limit, min(MOST, limit * GROWTH))
    return limit


def behind_state(sub: SubTopology) -> set[Node]:
    """The nodes below one that keeps state. A table that is a topic is none: its rows go on whatever it holds.

    Nor does it count that a look-up in such a table may find something else when its row comes again.
    """
    own = _agents_tables(sub)
    behind: set[Node] = set()
    for node in sub.nodes:  # parents first
        if any(parent in behind or _keeps_state(parent, own) for parent in node.parents):
            behind.add(node)
    return behind


def ends_anywhere(sub: SubTopology, legs: Mapping[Node, Leg]) -> bool:
    """Whether a transaction may end in the middle of a leg's rows: there is but this leg, it does its rows in their
    order, and until it has done one, nothing has come of it.
    """
    if len(legs) != 1:
        return not legs
    ((node, leg),) = legs.items()
    waits = node.agent and sub.children[node] and any(each.asynchronous for each in sub.nodes)
    return leg.sequential and not waits and not any(map(_has_effect, _passing_by(sub, node)))


def _passing_by(sub: SubTopology, leg: Node) -> set[Node]:
    """What rows reach on their way to a leg, or on another way."""
    reached: set[Node] = set()
    waiting: list[Node] = [node for node in feeding_into(sub, {leg}) if isinstance(node, SourceNode)]
    while waiting:
        for child in sub.children[waiting.pop()]:
            if child is not leg and child not in reached:
                reached.add(child)
                waiting.append(child)
    return reached


def _has_effect(node: Node) -> bool:
    return bool(node.sends) or node.agent or any(not spec.source for spec in node.stores)


def feeding_into(sub: SubTopology, ends: set[Node]) -> set[Node]:
    """The nodes above any of `ends`."""
    feeding: set[Node] = set()
    for node in reversed(sub.nodes):
        if any(child in ends or child in feeding for child in sub.children[node]):
            feeding.add(node)
    return feeding


def _keeps_state(node: Node, agents_tables: set[str]) -> bool:
    if node.agent:
        return bool(agents_tables if node.named_tables is None else agents_tables.intersection(node.named_tables))
    return any(not spec.source for spec in node.stores)


def _agents_tables(sub: SubTopology) -> set[str]:
    """The tables that handlers write: those that no operator keeps."""
    kept = {spec for node in sub.nodes if node.kind != "changes" for spec in node.stores}
    return {spec.name for spec in sub.stores if not spec.source and spec not in kept}
