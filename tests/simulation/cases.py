"""The applications that are simulated, what goes into them, and what must have come out at the end."""

from abc import ABC, abstractmethod
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random
from typing import Any

from streamz_actors import AgentStream, App, JoinWindow, Session, Tumbling, Windowed
from streamz_actors.clock import ManualClock
from streamz_actors.testing import Record, TestCluster
from streamz_actors.types import partition_of
from tests.simulation import checks, event_time
from tests.simulation.event_time import Happened, Window

KEYS = [f"k{number}" for number in range(6)]
PARTITIONS = 3


@dataclass(frozen=True, slots=True)
class Input:
    """A record that goes in. `number` counts them."""

    topic: str
    key: str
    number: int
    timestamp: int


class Pace:
    """How long handlers take: most of them nothing, some a turn of the loop, a few up to seconds."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.clock: ManualClock | None = None

    async def __call__(self, number: int) -> None:
        draw = Random(self._seed * 1_000_003 + number).random()
        if draw < 0.7 or self.clock is None:
            return
        await self.clock.sleep(0.0 if draw < 0.9 else (draw - 0.9) * 30)


class Case(ABC):
    """`outputs`, `tables` and `windows`, tables of them, are what its check looks at."""

    name: str
    outputs: Sequence[str] = ()
    tables: Sequence[str] = ()
    windows: Sequence[str] = ()
    loses_state = False
    """Whether all workers lose their disks at the end, before the last records: changelogs alone say what was."""

    @abstractmethod
    def app(self, pace: Pace) -> App: ...

    def record(self, seed: int, number: int) -> Input:
        """The record of this number: always the same for a seed, whatever else goes in."""
        random = Random(seed * 1_000_003 + number)
        return Input("in", random.choice(KEYS), number, 10_000 + number * 500 - random.randrange(5_000))

    def last(self, number: int) -> list[Input]:
        """What goes in at the end, so that nothing waits any more."""
        return []

    @abstractmethod
    def check(self, given: Sequence[Input], found: "Found", *, exact: bool, ordered: bool) -> None:
        """Raises Violation. Not `ordered`: a send was refused, and what follows may be there before it comes again."""


class Found:
    """What has come of a run."""

    def __init__(self, case: Case, cluster: TestCluster) -> None:
        self.records = {topic: cluster.read(topic) for topic in case.outputs}
        self.tables = {table: dict(cluster.table(table)) for table in case.tables}
        self.windows = {table: self._windows(cluster, table) for table in case.windows}

    def _windows(self, cluster: TestCluster, table: str) -> dict[Window, int]:
        view = cluster.table(table)
        return {Window(key, found.start, found.end): found.value for key in KEYS for found in view.windows(key)}

    def by_key(self, topic: str) -> dict[str, list[int]]:
        return grouped((record.key, record.value) for record in self.records[topic])


def grouped(pairs: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for key, value in pairs:
        found[key].append(value)
    return dict(found)


class Orders(Case):
    """An agent that counts in one table, notes the latest in another, and yields."""

    name = "orders"
    outputs = ("out",)
    tables = ("counts", "latest")

    def app(self, pace: Pace) -> App:
        app = App("orders")
        topic = app.topic("in", key_type=str, value_type=int, partitions=PARTITIONS)
        out = app.topic("out", key_type=str, value_type=int, partitions=PARTITIONS)
        counts = app.table("counts", key_type=str, value_type=int, default=int)
        latest = app.table("latest", key_type=str, value_type=int)

        @app.agent(topic, sinks=[out])
        async def count(stream: AgentStream[str, int]) -> AsyncIterator[int]:
            async for key, number in stream.items():
                await pace(number)
                counts[key] += 1
                latest[key] = number
                yield number

        return app

    def check(self, given: Sequence[Input], found: Found, *, exact: bool, ordered: bool) -> None:
        truth = grouped((each.key, each.number) for each in given)
        checks.in_order("out", truth, found.by_key("out"), exact=exact, ordered=ordered)
        # The state of an agent that takes one event after the other is exact under either guarantee.
        checks.counted("counts", {k: len(v) for k, v in truth.items()}, found.tables["counts"], exact=True)
        checks.same("latest", {key: numbers[-1] for key, numbers in truth.items()}, found.tables["latest"])


class Crew(Case):
    """Four actors a partition that send by themselves, and an agent that counts what they have sent."""

    name = "crew"
    outputs = ("middle",)
    tables = ("seen", "tally")

    def app(self, pace: Pace) -> App:
        app = App("crew")
        topic = app.topic("in", key_type=str, value_type=int, partitions=PARTITIONS)
        middle = app.topic("middle", key_type=str, value_type=int, partitions=2)
        seen = app.table("seen", key_type=str, value_type=int, default=int, partitions=PARTITIONS)
        tally = app.table("tally", key_type=str, value_type=int, default=int, partitions=2)

        @app.agent(topic, concurrency=4, tables=[seen])
        async def relay(stream: AgentStream[str, int]) -> None:
            async for key, number in stream.items():
                await pace(number)
                await middle.send(key=key, value=number)
                seen[key] += 1

        @app.agent(middle, tables=[tally])
        async def add(stream: AgentStream[str, int]) -> None:
            async for key, _ in stream.items():  # noqa: PERF102  # no dict
                tally[key] += 1

        return app

    def check(self, given: Sequence[Input], found: Found, *, exact: bool, ordered: bool) -> None:
        truth = grouped((each.key, each.number) for each in given)
        counts = {key: len(numbers) for key, numbers in truth.items()}
        checks.in_order("middle", truth, found.by_key("middle"), exact=exact, ordered=ordered)
        checks.counted("seen", counts, found.tables["seen"], exact=exact)
        passed = Counter(record.key for record in found.records["middle"])
        checks.counted("tally", passed, found.tables["tally"], exact=True)


class Pipeline(Case):
    """The DSL: a count behind a repartition topic, windows with an agent behind them, a join of two streams."""

    name = "pipeline"
    outputs = ("changes", "closed", "pairs")
    tables = ("totals",)
    size = 10_000
    within = 3_000

    def app(self, pace: Pace) -> App:
        app = App("pipeline", topic_partitions=2)
        left = app.stream(app.topic("left", key_type=str, value_type=int, partitions=PARTITIONS))
        right = app.stream(app.topic("right", key_type=str, value_type=int, partitions=PARTITIONS))
        changes = app.topic("changes", key_type=str, value_type=int, partitions=2)
        closed = app.topic("closed", key_type=Windowed[str], value_type=int, partitions=1)
        pairs = app.topic("pairs", key_type=str, value_type=str, partitions=1)
        left.group_by(lambda key, number: f"g{number % 3}", key_type=str).count("totals").to_stream().to(changes)
        windows = left.group_by_key().windowed_by(Tumbling(self.size / 1000, grace=10))
        results = windows.count("windows", emit="close").to_stream()

        @app.agent(results, sinks=[closed])
        async def announce(stream: AgentStream[Windowed[str], int]) -> AsyncIterator[int]:
            async for key, count in stream.items():
                await pace(key.start + count)
                yield count

        seconds = self.within / 1000
        within = JoinWindow(before=seconds, after=seconds, grace=3_600)
        left.join(right, lambda mine, other: f"{mine}-{other}", within=within, name="paired").to(pairs)
        return app

    def record(self, seed: int, number: int) -> Input:
        usual = super().record(seed, number)
        return Input(("left", "right")[number % 2], usual.key, number, usual.timestamp)

    def last(self, number: int) -> list[Input]:
        """One for each partition, from far ahead: all windows close."""
        ahead = 10_000 + number * 500 + 1_000_000
        return [Input("left", key, number + each, ahead) for each, key in enumerate(KEYS)]

    def check(self, given: Sequence[Input], found: Found, *, exact: bool, ordered: bool) -> None:
        left = [each for each in given if each.topic == "left"]
        right = [each for each in given if each.topic == "right"]
        totals = Counter(f"g{each.number % 3}" for each in left)
        checks.counted("totals", totals, found.tables["totals"], exact=exact)
        changes = found.by_key("changes")
        for group, total in totals.items():
            came = changes.get(group, [])
            if exact:
                checks.in_order("changes", {group: list(range(1, total + 1))}, {group: came}, exact=True)
            elif max(came, default=0) < total:
                raise checks.Violation("lost", f"changes: of {group}, {total} never came: {came}")
        self._check_closed(left, found.records["closed"], exact=exact)
        pairs = [
            f"{mine.number}-{other.number}"
            for mine, other in product(left, right)
            if mine.key == other.key and abs(mine.timestamp - other.timestamp) <= self.within
        ]
        checks.as_a_set("pairs", pairs, (record.value for record in found.records["pairs"]), exact=exact)

    def _check_closed(self, left: Sequence[Input], found: Sequence[Record], *, exact: bool) -> None:
        begins = ((each.key, each.timestamp // self.size * self.size) for each in left)
        ahead = max((each.timestamp for each in left), default=0) - 500_000
        truth = Counter(window for window in begins if window[1] < ahead)
        results = grouped_windows(found)
        checks.as_a_set("closed", truth, (window for window, values in results.items() for _ in values), exact=exact)
        best = {window: max(values) for window, values in results.items()}
        checks.counted("closed", truth, best, exact=exact)


def grouped_windows(records: Iterable[Record]) -> dict[tuple[str, int], list[Any]]:
    found: defaultdict[tuple[str, int], list[Any]] = defaultdict(list)
    for record in records:
        found[record.key.key, record.key.start].append(record.value)
    return dict(found)


class Visits(Case):
    """Short windows in which time goes on: what stores have erased is deleted from their changelogs, over and over.

    Windows that leave when they have closed, sessions, and windows that a handler writes, on a topic of its own.
    """

    name = "visits"
    outputs = ("closed",)
    windows = ("final", "sessions", "written")
    loses_state = True
    partitions = 2
    size, grace = 20_000, 20_000
    gap, patience = 8_000, 60_000
    """Of sessions."""
    step = 6_000
    """Between two records."""

    def app(self, pace: Pace) -> App:
        app = App("visits")
        counted = app.topic("counted", key_type=str, value_type=int, partitions=self.partitions)
        noted = app.topic("noted", key_type=str, value_type=int, partitions=self.partitions)
        closed = app.topic("closed", key_type=Windowed[str], value_type=int, partitions=1)
        groups = app.stream(counted).group_by_key()
        window = Tumbling(self.size / 1000, grace=self.grace / 1000)
        groups.windowed_by(window).count("final", emit="close").to_stream().to(closed)
        groups.windowed_by(Session(self.gap / 1000, grace=self.patience / 1000)).count("sessions")
        written = app.table(
            "written", key_type=str, value_type=int, default=int, windowed=window, expires=self.grace / 1000
        )

        @app.agent(noted)
        async def write(stream: AgentStream[str, int]) -> None:
            async for key, number in stream.items():
                await pace(number)
                written[key] += 1

        return app

    def record(self, seed: int, number: int) -> Input:
        """Most come late by less than windows wait, some by more; none by more than sessions do."""
        random = Random(seed * 1_000_003 + number)
        late = random.randrange(self.patience if random.random() < 0.2 else self.grace)
        topic = random.choice(("counted", "counted", "noted"))
        return Input(topic, random.choice(KEYS), number, 100_000 + number * self.step - late)

    def last(self, number: int) -> list[Input]:
        """Of each key one that moves time, one for a window that is open, and one that is late."""
        now = 100_000 + number * self.step
        times = (now - late for late in (0, self.grace // 2, self.patience - 1))
        given = product(("counted", "noted"), times, KEYS)
        return [Input(topic, key, number + each, time) for each, (topic, time, key) in enumerate(given)]

    def check(self, given: Sequence[Input], found: Found, *, exact: bool, ordered: bool) -> None:
        counted, noted = self._happened(given, "counted"), self._happened(given, "noted")
        kept = self.size + self.grace
        finals = event_time.tumbling(counted, self.size, self.grace, kept + 1)  # closed before they go
        closed = [
            (Window(record.key.key, record.key.start, record.key.end), record.value)
            for record in found.records["closed"]
        ]
        checks.as_a_set("closed", finals.closed.items(), closed, exact=exact)
        truth = {
            "final": finals.kept,
            "sessions": event_time.sessions(counted, self.gap, self.patience),
            "written": event_time.tumbling(noted, self.size, self.grace, kept).kept,
        }
        for table, windows in truth.items():
            checks.counted(table, windows, found.windows[table], exact=True)

    def _happened(self, given: Sequence[Input], topic: str) -> list[Happened]:
        return [
            Happened(partition_of(each.key.encode(), self.partitions), each.key, each.timestamp)
            for each in given
            if each.topic == topic
        ]


CASES: tuple[Case, ...] = (Orders(), Pipeline(), Crew(), Visits())
