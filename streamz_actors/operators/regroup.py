"""Grouping a table by other keys: each change says what an entry was and what it is, and the groups follow.

    table ──group_by──▶ repartition topic (key: the group's; value: what was and what is) ──▶ count, reduce, aggregate

A change goes to the group that the entry was in and to the one that it is in, in one record where they are the same.
An aggregation subtracts what was before it adds what is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Any, Final

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.calls import Call, failure, over_columns
from streamz_actors.dataflow.node import Node, Operator, StoreSpec, is_async
from streamz_actors.errors import StreamzError
from streamz_actors.serde.packed import packed
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.logged import LoggedStore

Function = Callable[..., Any]

SIZE: Final = Struct(">I")
"""In front of what was: the number of its bytes."""

ONLY_NEW, ONLY_OLD, BOTH = 0, 1, 2


def change_schema(value: Schema[Any]) -> Schema[Any]:
    """Of (what an entry is, what it was), one of them perhaps None."""

    def write(change: tuple[Any, Any]) -> bytes:
        new, old = map(value.encode, change)
        if old is None:
            return bytes((ONLY_NEW,)) + (new or b"")
        if new is None:
            return bytes((ONLY_OLD,)) + old
        return bytes((BOTH,)) + SIZE.pack(len(old)) + old + new

    def read(raw: bytes) -> tuple[Any, Any]:
        if raw[0] == ONLY_NEW:
            return value.decode(raw[1:]), None
        if raw[0] == ONLY_OLD:
            return None, value.decode(raw[1:])
        start = 1 + SIZE.size
        end = start + SIZE.unpack_from(raw, 1)[0]
        return value.decode(raw[end:]), value.decode(raw[start:end])

    return packed(f"change/{value.codec}", write, read)


# -- to the groups


def group_by(parent: Node, name: str, selector: Function, key: Schema[Any], change: Schema[Any]) -> Node:
    """`selector` takes (key, value) and gives the (key, value) that counts for a group, or None for none."""
    what = f"group_by of table {name!r}"
    call = over_columns(selector, what)
    return Node(
        name,
        "group_by",
        lambda _: GroupBy(what, call, key, change),
        (parent,),
        reads_olds=True,
        asynchronous=is_async(selector),
    )


class GroupBy(Operator):
    """A pair without a key or without a value belongs to no group."""

    repeatable = True

    def __init__(self, what: str, call: Call, key: Schema[Any], change: Schema[Any]) -> None:
        self._what, self._call, self._key, self._change = what, call, key, change

    async def process(self, batch: Batch) -> Batch | None:
        was_in, was = await self._before(batch)
        is_in, now = await self._selected(batch, batch.values)
        rows: list[int] = []
        groups: list[bytes | None] = []
        changes: Column = []
        for row, (before, after) in enumerate(zip(was_in, is_in, strict=True)):
            if before is not None and before == after:
                rows.append(row)
                groups.append(before)
                changes.append((now[row], was[row]))
                continue
            for group, change in ((before, (None, was[row])), (after, (now[row], None))):
                if group is not None:
                    rows.append(row)
                    groups.append(group)
                    changes.append(change)
        return self._changes(batch, rows, groups, changes) if rows else None

    async def _before(self, batch: Batch) -> tuple[list[bytes | None], Column]:
        try:
            return await self._selected(batch, batch.olds or [None] * len(batch))
        except StreamzError:
            if self.guard.stops or len(batch) > 1:  # of several, each is asked on its own again
                raise
            return [None], [None]  # it was given up when it came, and is in no group

    async def _selected(self, batch: Batch, values: Column) -> tuple[list[bytes | None], Column]:
        """Columns of encoded groups, None for no group, and of what counts for them."""
        there = [value is not None for value in values]
        rows = batch if all(there) else batch.select(there)
        pairs = iter(await self._call(rows, rows.keys, [value for value in values if value is not None]))
        keys: Column = []
        counting: Column = []
        for row, here in enumerate(there):
            key, value = self._pair(batch, row, next(pairs)) if here else (None, None)
            keys.append(None if value is None else key)
            counting.append(value)
        return batch.encode("group", self._key, keys), counting

    def _pair(self, batch: Batch, row: int, pair: Any) -> tuple[Any, Any]:
        if pair is None:
            return None, None
        if isinstance(pair, tuple | list) and len(pair) == 2:
            return pair[0], pair[1]
        odd = TypeError(f"the function must give a (key, value) pair or None, not {pair!r}")
        raise failure(self._what, batch, row, odd)

    def _changes(self, batch: Batch, rows: list[int], groups: list[bytes | None], changes: Column) -> Batch:
        base = batch.take(rows)
        return Batch(
            base.origin,
            base.offsets,
            base.timestamps,
            self._key,
            self._change,
            values=changes,
            raw_keys=groups,
            headers=base.headers,
        )


# -- in the groups


@dataclass(frozen=True, slots=True)
class Revising:
    """How a group follows its entries. Functions take (key, value, aggregate). Without an initializer a group's first
    value is its first aggregate.
    """

    what: str
    """Kind and name, for messages."""
    initializer: Function | None
    adder: Function
    subtractor: Function
    adder_waits: bool
    subtractor_waits: bool

    @property
    def kind(self) -> str:
        return self.what.split(" ", 1)[0]


def counting(name: str) -> Revising:
    return aggregating(name, int, lambda _, __, count: count + 1, lambda _, __, count: count - 1, kind="count")


def reducing(name: str, adder: Function, subtractor: Function) -> Revising:
    """Both take (aggregate, value)."""
    return Revising(
        f"reduce {name!r}",
        None,
        lambda _, value, aggregate: adder(aggregate, value),
        lambda _, value, aggregate: subtractor(aggregate, value),
        is_async(adder),
        is_async(subtractor),
    )


def aggregating(
    name: str, initializer: Function, adder: Function, subtractor: Function, *, kind: str = "aggregate"
) -> Revising:
    return Revising(f"{kind} {name!r}", initializer, adder, subtractor, is_async(adder), is_async(subtractor))


def revise(parent: Node, spec: StoreSpec, how: Revising) -> Node:
    return Node(
        spec.name,
        how.kind,
        lambda place: Revise(how, place.states[spec.name], spec),
        (parent,),
        stores=(spec,),
        asynchronous=how.adder_waits or how.subtractor_waits,
        copartitioned=True,
        updates=True,
    )


class Revise(Operator):
    """A result has the later time of the change and of what it revises; one that revises nothing that of the change."""

    repeatable = True

    def __init__(self, how: Revising, state: Any, spec: StoreSpec) -> None:
        self._how, self._spec = how, spec
        self._logged: LoggedStore = state.logged

    async def process(self, batch: Batch) -> Batch | None:
        values: Column = []
        timestamps: list[int] = []
        olds: Column = []
        if gone := await self._revise(batch, values, timestamps, olds):
            batch = batch.select([row not in gone for row in range(len(batch))])
        return batch.replace(
            values=(values, self._spec.value_schema), timestamps=timestamps, olds=olds if self.olds else None
        )

    async def _revise(self, batch: Batch, values: Column, timestamps: list[int], olds: Column) -> set[int]:
        """The rows on which a function failed: their groups stay as they were."""
        gone: set[int] = set()
        logged = self._logged
        find, value_of, put = logged.find, logged.value, logged.put
        raw_keys = batch.encoded_keys(self._spec.key_schema)
        logged.load(raw_keys)
        columns = zip(raw_keys, batch.keys, batch.values, batch.timestamps, strict=True)
        for row, (raw, key, (new, old), timestamp) in enumerate(columns):
            held = find(raw)  # type: ignore[arg-type]  # a group has a key
            before = value_of(held)
            if before is not None and held[2] > timestamp:
                timestamp = held[2]
            try:
                after = before if old is None or before is None else await self._without(key, old, before)
                if new is not None:
                    after = await self._with(key, new, after)
                put(raw, after, timestamp)  # type: ignore[arg-type]  # as above
            except Exception as error:
                self.guard.failed(self._how.what, batch, row, error)
                gone.add(row)
                continue
            values.append(after)
            timestamps.append(timestamp)
            if self.olds:
                # Decoded anew where a function may have changed what it was given.
                olds.append(value_of(held))
        return gone

    async def _without(self, key: Any, value: Any, aggregate: Any) -> Any:
        how = self._how
        result = how.subtractor(key, value, aggregate)
        return await result if how.subtractor_waits else result

    async def _with(self, key: Any, value: Any, aggregate: Any) -> Any:
        how = self._how
        if aggregate is None:
            if how.initializer is None:
                return value
            aggregate = how.initializer()
        result = how.adder(key, value, aggregate)
        return await result if how.adder_waits else result
