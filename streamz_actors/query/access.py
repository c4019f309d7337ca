"""Which tables there are, and which of their partitions can be read here; if one can't, why."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from streamz_actors.dataflow.node import Layout, StoreSpec
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.dataflow.topology import GlobalSpec
from streamz_actors.errors import DecodeError, NotReady, TableUnknown, UsageError
from streamz_actors.query.keys import key_reader
from streamz_actors.query.spans import ALL, Span, windows_entry, windows_schema
from streamz_actors.serde.describe import describe
from streamz_actors.serde.schema import Schema, placing
from streamz_actors.stores.logged import Entry
from streamz_actors.tables.mapping import State
from streamz_actors.tasks.task import TaskStatus
from streamz_actors.types import partition_of
from streamz_actors.worker.provision import Provision
from streamz_actors.worker.status import WorkerStatus
from streamz_actors.worker.worker import Worker

INTERNAL = "internal"
"""The kind of a store that only its operator reads: a join's buffer, say."""

LONGEST_WAIT = 60.0
"""Seconds after which somebody who waits for a restore is to look again at the latest."""


@dataclass(frozen=True, slots=True)
class Known:
    """A table as it was declared. `kind` is `global` where every worker holds all of it.

    With a `layout` it holds windows: what it has under a key are those of its windows that lie in `span`.
    """

    name: str
    kind: str
    key_schema: Schema[Any]
    value_schema: Schema[Any]
    read_keys: Callable[[str], list[Any]]
    per_partition: bool = False
    layout: Layout | None = None
    span: Span = ALL
    committed: bool = False
    """Whether only what is committed is seen."""

    @property
    def value_type(self) -> Any:
        return self.value_schema.type if self.layout is None else self.layout.value_schema.type

    def home(self, raw: bytes, count: int) -> int:
        """The partition, of `count`, that an encoded key belongs to."""
        return partition_of(placing(self.key_schema, raw), count)

    def within(self, span: Span) -> "Known":
        """The table, seen through a span. Raises UsageError for one without windows."""
        if self.layout is None:
            raise UsageError(f"table {self.name!r} has no windows: window_from and window_to mean nothing there")
        return replace(self, span=span)

    def settled(self) -> "Known":
        """The table as it is committed. Raises UsageError for a table of windows."""
        return replace(self.plain("which are shown as they are (isolation=committed)"), committed=True)

    def plain(self, what: str) -> "Known":
        """Raises UsageError for a table of windows."""
        if self.layout is not None:
            raise UsageError(f"table {self.name!r} holds windows, {what}: ask for the windows of one key at a time")
        return self

    def entry(self, state: State, raw: bytes) -> Entry | None:
        """What a partition has under an encoded key."""
        if self.committed:
            return state.logged.committed(raw)
        return state.entry(raw) if self.layout is None else windows_entry(self.layout, state, raw, self.span)

    @property
    def is_global(self) -> bool:
        return self.kind == "global"

    def encoded(self, key: Any) -> bytes:
        """Raises EncodeError or UsageError for what is no key of the table."""
        raw = self.key_schema.encode(key)
        if raw is None:
            raise UsageError(f"table {self.name!r}: None is no key")
        return raw

    def keys(self, text: str) -> list[Any]:
        """The keys that a text of a URL can stand for, most likely first. Raises DecodeError if it can be none."""
        try:
            return self.read_keys(text)
        except DecodeError as error:
            name = describe(self.key_schema.type)
            raise DecodeError(f"{text!r} is no key of table {self.name!r} ({name}): {error.reason}") from error


def _stored(spec: StoreSpec) -> Known:
    values = spec.value_schema if spec.layout is None else windows_schema(spec.layout.value_schema)
    reader = key_reader(spec.key_schema)
    return Known(spec.name, spec.kind, spec.key_schema, values, reader, spec.per_partition, spec.layout)


def _global(spec: GlobalSpec) -> Known:
    keys = spec.topic.key_schema
    return Known(spec.name, "global", keys, spec.topic.value_schema, key_reader(keys))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table lives: its store in its sub-topology."""

    sub: SubTopology
    spec: StoreSpec

    def task(self, partition: int) -> str:
        """The name of the task that has a partition."""
        return self.sub.task_name(partition)


class Access:
    """The tables of one worker's application, and its share of their state."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._provision: Provision | None = None
        self._places: dict[str, Place] = {}
        topology = worker.spec.topology
        self._tables = {spec.name: _stored(spec) for spec in topology.tables if spec.kind != INTERNAL}
        self._tables |= {spec.name: _global(spec) for spec in topology.globals}

    @property
    def tables(self) -> list[Known]:
        """By name."""
        return [self._tables[name] for name in sorted(self._tables)]

    def table(self, name: str) -> Known:
        """Raises TableUnknown, listing what there is."""
        try:
            return self._tables[name]
        except KeyError:
            known = ", ".join(sorted(self._tables)) or "none"
            raise TableUnknown(f"there is no table {name!r}; tables: {known}") from None

    def place(self, table: Known) -> Place | None:
        """None for global tables, for one that nothing uses, and before the broker was asked."""
        provision = self._worker.provision
        if provision is not self._provision:
            self._provision = provision
            subs = () if provision is None else provision.subs
            self._places = {spec.name: Place(sub, spec) for sub in subs for spec in sub.stores}
        return self._places.get(table.name)

    def partitions(self, table: Known) -> int | None:
        """How many it has in the whole application: none if nothing uses it; None while that is not known."""
        if table.is_global:
            return 1
        place = self.place(table)
        if place is not None:
            return place.sub.partitions
        return None if self._provision is None else 0

    def counted(self, table: Known) -> int:
        """As `partitions`. Raises NotReady while that is not known."""
        count = self.partitions(table)
        if count is None:
            raise self.not_ready(table)
        return count

    def state(self, table: Known, partition: int) -> State | None:
        """A partition that can be read here now."""
        if table.is_global:
            return self._worker.globals.states[table.name] if self._worker.globals.loaded else None
        place = self.place(table)
        task = None if place is None else self._worker.tasks.get(place.task(partition))
        return task.own.get(table.name) if task is not None and task.status is TaskStatus.RUNNING else None

    def here(self, table: Known) -> Mapping[int, State]:
        """By number: the partitions that can be read here now. A global table is one, whatever its topic has."""
        states = {number: self.state(table, number) for number in range(self.partitions(table) or 0)}
        return {number: state for number, state in states.items() if state is not None}

    def not_ready(self, table: Known) -> NotReady:
        """Why some of its partitions cannot be read here."""
        worker = self._worker
        where = f"table {table.name!r} cannot be read here"
        if worker.failure is not None:
            return NotReady(f"{where}: the worker has failed")
        if worker.status is not WorkerStatus.RUNNING:
            return NotReady(f"{where}: the worker is {worker.status.value}")
        progress = worker.assigned.restorer.progress
        if progress is not None:
            now = worker.clock.monotonic()
            wait = min(LONGEST_WAIT, max(1.0, progress.eta(now) or 1.0))
            return NotReady(f"{where} yet: it is being restored, {progress.describe(now)}", wait)
        if worker.members.assigned is None:
            return NotReady(f"{where} yet: the worker waits for its partitions")
        if worker.spare:
            return NotReady(f"{where}: the worker has no partitions")
        return NotReady(f"{where} yet: its partitions are on their way")
