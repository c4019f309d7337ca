"""What happens in a simulated run: a list of actions made from a seed. Any part of the list is a schedule as well."""

from dataclasses import dataclass
from random import Random
from typing import Any

from streamz_actors.testing import Faults

GUARANTEES = ("at_least_once", "exactly_once")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that is done to the cluster; one that makes no sense when it comes is left out.

    Workers are numbers, counted round if there are fewer.
    """

    number: int
    """Its place in the schedule of its seed."""
    what: str
    arguments: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.what}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True, slots=True)
class Schedule:
    """`case` is an index into `cases.CASES`; `commit_interval` is in seconds."""

    seed: int
    case: int
    guarantee: str
    workers: int
    commit_interval: float
    standbys: int
    faults: Faults
    actions: tuple[Action, ...]


NETWORKS = (
    Faults(delay=0.004),
    Faults(delay=0.05, slow=0.02, stall=1.0, split=0.3),
    Faults(delay=0.02, slow=0.02, stall=3.0, split=0.3, repeated=0.1, unanswered=0.02, late=0.02),
    Faults(delay=0.02, slow=0.03, stall=2.0, split=0.5, lost=0.02, unanswered=0.02, late=0.02, refused=0.01),
)

WEIGHTS = {
    "send": 30,
    "advance": 30,
    "kill": 5,
    "restart": 5,
    "crash": 8,
    "stop": 3,
    "add": 2,
    "pause": 3,
    "resume": 3,
    "zombie": 4,
    "jump": 1,
    "set_clock": 1,
    "compact": 2,
}


def make(seed: int, cases: int, guarantee: str = "") -> Schedule:
    """The schedule of a seed; of another guarantee than its own, if one is given."""
    random = Random(f"schedule/{seed}")
    case = seed % cases
    own = random.choice(GUARANTEES)
    workers = random.choice((1, 2, 2, 3))
    interval = random.choice((0.1, 0.5, 1.0, 3.0))
    standbys = random.choice((0, 0, 1))
    network = random.choice(NETWORKS)
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    chosen = random.choices(kinds, weights, k=random.randrange(12, 40))
    actions = tuple(Action(number, kind, _arguments(kind, random)) for number, kind in enumerate(["send", *chosen]))
    return Schedule(seed, case, guarantee or own, workers, interval, standbys, network, actions)


def _arguments(kind: str, random: Random) -> tuple[Any, ...]:
    worker = random.randrange(4)
    match kind:
        case "send":
            return (random.choice((1, 2, 5, 15)),)
        case "advance":
            return (round(random.choice((0.01, 0.1, 0.5, 1.0, 2.0, 6.0)) * random.uniform(0.5, 1.5), 3),)
        case "kill":
            return (worker, random.random() < 0.7)
        case "crash":
            return (worker, random.randrange(1, 12))
        case "zombie":
            return (worker, round(random.uniform(5.0, 9.0), 3), random.choice((1, 5)))
        case "jump":
            return (round(random.uniform(0.5, 20.0), 3),)
        case "set_clock":
            return (worker, round(random.uniform(-600.0, 600.0), 3))
        case "add" | "compact":
            return ()
        case _:
            return (worker,)
