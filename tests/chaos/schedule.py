"""What happens to the workers and brokers, and when: a seed's list of cycles. Pure.

A cycle is one event, sometimes two at once, and some seconds of work after it. The same seed gives the same list;
what a run makes of it differs by milliseconds.
"""

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

WORKERS = 4
"""Places for workers; all but the last run from the beginning."""

NODES = 3

WEIGHTS = {
    "kill": 5,
    "zombie": 3,
    "stop": 3,
    "join": 2,
    "broker-kill": 1,
    "broker-stop": 1,
    "cut-closed": 2,
    "cut-silent": 2,
    "cut-deaf": 2,
    "cut-all": 1,
}
"""How often each kind comes, in relation.

- kill: SIGKILL, started again after `seconds`
- zombie: SIGSTOP, SIGCONT after `seconds`
- stop: SIGTERM, started again after `seconds` once it has ended
- join: the worker of a free place starts, or, if all places are taken, the one of the last ends in order
- broker-kill, broker-stop: SIGKILL or SIGTERM, started again after `seconds`
- cut-…: one worker's connections for `seconds`; see proxy.Cut
- cut-all: everybody's, silent
"""

BOTH = 0.25
"""Share of cycles with two events at once."""


SETTLED = 0.7
"""Share of cycles after which all workers are ready again."""


@dataclass(frozen=True, slots=True)
class Event:
    kind: str
    target: int
    """A worker's place; with "broker-…" a node; without meaning for "join" and "cut-all"."""
    seconds: float

    def __str__(self) -> str:
        return f"{self.kind} {self.target} for {self.seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Cycle:
    events: tuple[Event, ...]
    settles: bool
    """Whether all workers are to be ready before the next: else it may meet restores and rebalances."""
    pause: float
    """Seconds of work when all of them are over."""


def schedule(seed: int, cycles: int, session_timeout: float) -> list[Cycle]:
    """Outages last from well below to well above the session time-out: some are noticed, some are not."""
    chance = random.Random(seed)
    return [one_cycle(chance, session_timeout) for _ in range(cycles)]


def one_cycle(chance: random.Random, session_timeout: float) -> Cycle:
    count = 2 if chance.random() < BOTH else 1
    events: list[Event] = []
    while len(events) < count:
        event = one_event(chance, session_timeout)
        if not any(clash(event, other) for other in events):
            events.append(event)
    return Cycle(tuple(events), chance.random() < SETTLED, round(chance.uniform(0.5, 4.0), 1))


def one_event(chance: random.Random, session_timeout: float) -> Event:
    (kind,) = chance.choices(list(WEIGHTS), list(WEIGHTS.values()))
    if kind.startswith("broker-"):
        return Event(kind, chance.randrange(NODES), round(chance.uniform(0.5, 8.0), 1))
    longest = session_timeout * (2.0 if kind == "zombie" or kind.startswith("cut-") else 1.0)
    return Event(kind, chance.randrange(WORKERS - 1), round(chance.uniform(0.1, longest), 1))


def clash(one: Event, other: Event) -> bool:
    """Whether they can't come together: two brokers of three, a worker twice, all connections and one's."""
    brokers = [event.kind.startswith("broker-") for event in (one, other)]
    if all(brokers):
        return True
    if any(brokers):
        return False
    kinds = {one.kind, other.kind}
    return one.target == other.target or one.kind == other.kind == "join" or "cut-all" in kinds


def counted(cycles: Iterable[Cycle]) -> dict[str, int]:
    """How many events of each kind."""
    return dict(sorted(Counter(event.kind for cycle in cycles for event in cycle.events).items()))
