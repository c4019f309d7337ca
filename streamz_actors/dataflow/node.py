"""A node of the topology: what the declarations leave behind, and the behaviour that each task builds from it."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from streamz_actors.clock import Clock
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.guard import STRICT
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.policies import Final, Policy
from streamz_actors.dataflow.topics import Topic
from streamz_actors.serde.schema import Schema


class Place(Protocol):
    """The task that an operator runs in."""

    @property
    def partition(self) -> int: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def collector(self) -> Collector: ...

    @property
    def states(self) -> Mapping[str, Any]:
        """The task's table states by name, and those of global tables."""
        ...

    @property
    def on_error(self) -> Policy:
        """What the application does with a record on which something fails, where nothing else is said."""
        ...

    def give_up(self, what: str, policy: Final, batch: Batch, index: int, error: BaseException, attempts: int) -> None:
        """Carries out the last word on a row that failed: skips it or sends it to the dead letters; `Fail` raises."""
        ...

    def late(self, record: Late) -> None:
        """A record was dropped, wholly or for one of its windows, because it came too late: it is counted and shown."""
        ...

    def changed(self, table: str, batch: Batch) -> None:
        """Changes of a table that no operator of this task made: they flow to who follows the table."""
        ...

    def failed(self, error: BaseException) -> None:
        """An error beside the step, in an actor: stops the task."""
        ...

    def wake(self) -> None:
        """There is something to do: room in an inbox, an event done."""
        ...


class Operator(ABC):
    """The behaviour of one node in one task."""

    silent = False
    """Set by the task where the node has no children: then `process` need not make rows, and may give None."""
    olds = False
    """Set by the task where a node below reads what each key held before (`SubTopology.olds`)."""
    guard = STRICT
    """Set by the task: what it does with rows on which something fails."""
    repeatable = False
    """Whether `process` raises before anything has changed: so that it may be called again, row by row."""

    @abstractmethod
    async def process(self, batch: Batch) -> Batch | None:
        """Works on a run of rows; gives the rows that go on to the children, or None for none."""

    def advance(self, now: int, stream_time: int) -> Batch | None:
        """Time has moved: `now` is the wall clock, both in ms. Called only if the node is `timed` or `ticked`."""
        return None


class Leg(ABC):
    """An operator that finishes rows later than `process` returns: an agent's inbox, calls that wait for I/O.

    What comes of its rows goes on to the node's children within a step: the task takes it when `gives` says so.
    """

    width = 1
    """Rows that it works on at a time, at the most."""

    @property
    @abstractmethod
    def sequential(self) -> bool:
        """Whether it can come to the end of its rows in their order: then `keep_order` may be called, at first."""

    @abstractmethod
    def keep_order(self) -> None:
        """No row is done before those that came before it."""

    def stands(self) -> bool:
        """Under `keep_order`, whether nothing has come yet of any row that is not done, nor can before `resume`.

        Then a transaction may end here.
        """
        return self.drained()

    @property
    def gives(self) -> bool:
        """Whether rows wait to be taken. The place is to be woken when they come."""
        return False

    def take(self) -> Sequence[Batch]:
        """The rows that wait, for whoever hands them on."""
        return ()

    @abstractmethod
    def unfinished(self) -> dict[Any, int]:
        """The lowest offset per source partition that is not done yet, or of which rows still wait to be taken."""

    def in_hand(self) -> Sequence[tuple[Any, int]]:
        """Of an agent, the events that handlers work on now: source partition and offset, of a list its first."""
        return ()

    @abstractmethod
    def pending(self) -> int:
        """Rows taken and not done."""

    @abstractmethod
    def room(self) -> bool:
        """Whether more rows may be given to it now."""

    @abstractmethod
    def idle(self) -> bool:
        """Whether every actor waits for its inbox or for a timer of the framework."""

    @abstractmethod
    def drain(self) -> None:
        """Nothing more is given to an actor; what is in hand goes on to its end."""

    @abstractmethod
    def freeze(self) -> None:
        """From now on, what events yield stays here: whether they are still this worker's to handle is not certain."""

    @abstractmethod
    def resume(self) -> None:
        """Goes on where `drain` and `freeze` stopped it."""

    @abstractmethod
    def drained(self) -> bool:
        """Whether no actor has anything in hand, other than one that waits for a timer of the framework."""

    @abstractmethod
    def hurry(self, hurried: bool) -> None:
        """While it is to hurry, nothing that is there waits for more to come."""

    @abstractmethod
    def flush(self) -> None:
        """Hands on what finished events have yielded."""

    @abstractmethod
    async def stop(self) -> None:
        """Cancels the actors and drops what they have not finished."""


Build = Callable[[Place], Operator]


class Layout(Protocol):
    """How the windows of a key lie in a store whose keys begin with a time: for those who ask from outside."""

    value_schema: Schema[Any]
    """Of a window's value; the store's own may be of something that holds many."""

    def windows(self, logged: Any, raw: bytes, start: int | None, stop: int | None) -> "list[WindowRow]":
        """The windows of an encoded key that begin at start <= ms < stop and are still kept, oldest first."""
        ...


WindowRow = tuple[int, int, Any, int]
"""A window's start and end, its value, and the time of its last record; ms."""


@dataclass(eq=False, frozen=True)
class StoreSpec:
    """A table's state: its name, types, and where its changes are logged."""

    name: str
    key_schema: Schema[Any]
    value_schema: Schema[Any]
    changelog: Topic[Any, Any] | None
    """None: changes are not logged and the state ends with the local copy."""
    source: bool = False
    """The changelog is a topic of the user's, and is the table's input: nothing is written to it."""
    per_partition: bool = False
    partitions: int | None = None
    kind: str = "table"
    retention: int | None = None
    """Of a store whose keys begin with a time: ms that an entry is kept, counted from the highest time seen."""
    layout: Layout | None = None
    """Of a table of windows."""
    arrangement: str = ""
    """Under which keys its entries lie, where that depends on more than the table's own keys: entries that were written
    under another arrangement are not found.
    """
    standby_replicas: int | None = None
    """How many other workers keep a copy; None: as many as the application's setting says."""


@dataclass(eq=False, frozen=True)
class Node:
    """One step of the topology. Names come from what the user named; they need not be unique."""

    name: str
    kind: str
    build: Build = field(repr=False)
    parents: "tuple[Node, ...]" = ()
    stores: tuple[StoreSpec, ...] = ()
    sends: tuple[Topic[Any, Any], ...] = ()
    reads_keys: bool = True
    """Whether it looks at decoded keys: a column that nobody reads is never decoded."""
    reads_values: bool = True
    reads_olds: bool = False
    """Whether it looks at what each key of a table held before."""
    passes_olds: bool = False
    """Whether it needs them only if a child does: a table's view."""
    asynchronous: bool = False
    """Whether it may suspend while it processes."""
    copartitioned: bool = False
    """Whether its inputs and stores must have equal partition counts."""
    timed: bool = False
    """Whether `Operator.advance` is to be called: behind each row, one by one, and as the wall clock moves."""
    ticked: bool = False
    """Whether it is to be called as the wall clock moves, and only then: rows come in runs as ever."""
    updates: bool = False
    """Its rows are new values of a table: of several of one key, whoever can wait needs only the last."""
    agent: bool = False
    policy: Final | None = None
    """What is done with a row that it can't work on; None: as the nodes above say, else as the application does."""
    named_tables: tuple[str, ...] | None = None
    """Of an agent: the tables its body uses; None: all that nobody names."""


@dataclass(eq=False, frozen=True)
class SourceNode(Node):
    topic: Topic[Any, Any] = field(kw_only=True)
    flexible: bool = False
    """The topic takes its partition count from what it must be co-partitioned with."""


def is_async(function: Any) -> bool:
    """Whether calling it gives something to await; sees through partials and callable objects."""
    while hasattr(function, "func"):
        function = function.func
    if inspect.iscoroutinefunction(function):
        return True
    return not inspect.isfunction(function) and inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004
