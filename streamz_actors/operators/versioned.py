"""Tables that keep what each key held, and when: the latest values in one store, what they replaced in another.

A change of a time before the latest one's belongs to the past: it is given on, to those who follow the changes as a
stream; those who keep something up to date with the table follow the latest ones only.
"""

from typing import Any

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.lateness import Lateness
from streamz_actors.dataflow.lookups import Lookup, Read
from streamz_actors.dataflow.node import Node, Operator, Place, StoreSpec, WindowRow
from streamz_actors.serde.packed import packed
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.logged import LoggedStore
from streamz_actors.stores.versions import Versions, past_versions, read, write

PAST = 0
LATEST = 1


def history_schema(values: Schema[Any]) -> Schema[Any]:
    """Of the store of what was replaced."""
    return packed(f"versions/{values.codec}", write, read)


class VersionLayout:
    """What was replaced, as windows: from when to when a key held what."""

    def __init__(self, value_schema: Schema[Any], retention: int) -> None:
        self.value_schema, self._retention = value_schema, retention

    def windows(self, logged: LoggedStore, raw: bytes, start: int | None, stop: int | None) -> list[WindowRow]:
        """Each under the time it began at."""
        return [
            (begin, end, self.value_schema.decode(payload), begin)
            for begin, end, payload in past_versions(logged, self._retention, raw)
            if (start is None or begin >= start) and (stop is None or begin < stop)
        ]


def versions_of(states: Any, spec: StoreSpec, history: StoreSpec) -> Versions:
    """In one task, over its states by name."""
    schema = spec.value_schema
    assert history.retention is not None, "it is kept for a time"
    return Versions(
        states[spec.name].logged, states[history.name].logged, history.retention, schema.encode, schema.decode
    )


def update_versions(parent: Node, spec: StoreSpec, history: StoreSpec, kind: str) -> Node:
    return Node(
        spec.name,
        kind,
        lambda place: UpdateVersions(spec, versions_of(place.states, spec, history), place),
        (parent,),
        stores=(spec, history),
    )


class UpdateVersions(Operator):
    """A row without a key is dropped, one without a value deletes, one older than the history is late."""

    def __init__(self, spec: StoreSpec, versions: Versions, place: Place) -> None:
        self._spec, self._versions = spec, versions
        self._logged = place.states[spec.name].logged
        self._late = Lateness(f"table {spec.name!r}", place)

    async def process(self, batch: Batch) -> Batch | None:
        put, get, olds = self._versions.put, self._logged.get, self.olds
        keeps = self._spec.value_schema.immutable
        taken: list[int] = []
        marks: list[int] = []
        before: Column = []
        payloads = batch.encoded_values(self._spec.value_schema)
        keys = batch.encoded_keys(self._spec.key_schema)
        self._logged.load(keys)
        rows = zip(keys, batch.values, payloads, batch.timestamps, strict=True)
        for row, (key, value, payload, time) in enumerate(rows):
            if key is None:
                continue
            old = get(key) if olds else None
            latest = put(key, (value if keeps else None, payload, time))
            if latest is None:
                self._late.drop(batch, row, self._versions.moment)
                continue
            taken.append(row)
            marks.append(LATEST if latest else PAST)
            before.append(old)
        if self.silent or not taken:
            return None
        kept = batch if len(taken) == len(batch) else batch.take(taken)
        out = kept.replace(olds=before if olds else None)
        out.branches = marks
        return out


def latest_changes(parent: Node, name: str) -> Node:
    """Of a versioned table's changes those that are its latest."""
    return Node(
        name,
        "latest",
        lambda _: LatestChanges(),
        (parent,),
        reads_keys=False,
        reads_values=False,
        passes_olds=True,
    )


class LatestChanges(Operator):
    async def process(self, batch: Batch) -> Batch | None:
        mask = [mark == LATEST for mark in batch.branches or ()]
        if all(mask):
            return batch
        return batch.select(mask) if any(mask) else None


def as_of(spec: StoreSpec, history: StoreSpec) -> Lookup:
    """What a key held at the time of each row."""

    def at(place: Place) -> Read:
        held_at = versions_of(place.states, spec, history).at
        logged = place.states[spec.name].logged

        async def read_at(batch: Batch) -> Column:
            keys = batch.encoded_keys(spec.key_schema)
            logged.load(keys)
            return [
                None if key is None else held_at(key, time)
                for key, time in zip(keys, batch.timestamps, strict=True)
            ]

        return read_at

    return Lookup(at, (spec, history))
