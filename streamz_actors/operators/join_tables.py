"""Tables joined with tables by equal keys: each change of one side meets what the other holds at that moment.

The result of a key has the later time of the two entries that it is made of. Which rows leave is Kafka Streams' rule:
a side without which there is no result is silent while the other one lacks; what is missing otherwise is a None.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import compress
from typing import Any

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.calls import Call, over_columns
from streamz_actors.dataflow.keeping import keep
from streamz_actors.dataflow.lookups import Lookup, Read, ReadDated
from streamz_actors.dataflow.node import Node, Operator, Place, StoreSpec, is_async
from streamz_actors.errors import StreamzError, TopologyError
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.logged import NEVER

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Joining:
    """How two tables meet. `call` takes (left, right). A key has a result where both needed sides hold something, and
    any side at all does.
    """

    what: str
    """Kind and name, for messages."""
    call: Call
    value: Schema[Any]
    asynchronous: bool
    needs_left: bool
    needs_right: bool


KINDS = {"join": (True, True), "left_join": (True, False), "outer_join": (False, False)}
"""By kind: whether there is no result without the left side, and without the right one."""


def joining(kind: str, name: str, joiner: Function, value: Schema[Any]) -> Joining:
    what = f"{kind} {name!r}"
    return Joining(what, over_columns(joiner, what), value, is_async(joiner), *KINDS[kind])


# -- what a key has in the joined table


def look_joined(left: Lookup, right: Lookup, how: Joining) -> Lookup:
    """Looks keys up on both sides, for who asks for the result of a join that is not stored."""
    look_left, look_right = _dated(left, how), _dated(right, how)

    def dated(place: Place) -> ReadDated:
        read_left, read_right = look_left(place), look_right(place)

        async def read(batch: Batch) -> tuple[Column, list[int]]:
            (lefts, left_times), (rights, right_times) = await read_left(batch), await read_right(batch)
            times = _later(_times(lefts, left_times), _times(rights, right_times))
            return await _join(how, batch, lefts, rights), times

        return read

    def at(place: Place) -> Read:
        read_both = dated(place)

        async def read(batch: Batch) -> Column:
            values, _ = await read_both(batch)
            return values

        return read

    return Lookup(
        at,
        tuple(dict.fromkeys((*left.stores, *right.stores))),
        left.reads_keys or right.reads_keys,
        left.asynchronous or right.asynchronous or how.asynchronous,
        dated,
    )


def _dated(lookup: Lookup, how: Joining) -> Callable[[Place], ReadDated]:
    if lookup.dated is None:
        raise TopologyError(f"{how.what}: one of the tables cannot be looked up with times, and so not be joined")
    return lookup.dated


def _times(values: Column, times: list[int]) -> list[int]:
    """Times of what is there; NEVER for what is not."""
    if None not in values:
        return times
    return [NEVER if value is None else time for value, time in zip(values, times, strict=True)]


def _later(one: list[int], other: list[int]) -> list[int]:
    return list(map(max, one, other))


async def _join(how: Joining, batch: Batch, lefts: Column, rights: Column) -> Column:
    """Results row by row; None where there is none."""
    needs_left, needs_right = how.needs_left, how.needs_right
    there = [
        (left is not None or (not needs_left and right is not None)) and (right is not None or not needs_right)
        for left, right in zip(lefts, rights, strict=True)
    ]
    if all(there):
        return await how.call(batch, lefts, rights)
    rows = batch.select(there)
    results = iter(await how.call(rows, list(compress(lefts, there)), list(compress(rights, there))))
    return [next(results) if here else None for here in there]


# -- its changes


def join_changes(
    parent: Node,
    name: str,
    kind: str,
    other: Lookup,
    how: Joining,
    *,
    left: bool,
    twins: bool = False,
    apart: str | None = None,
) -> Node:
    """The changes that those of one side make; `left`: they are those of the left side. `twins`: both sides come from
    one table, so that what they hold may go at once. `apart`: what to say if there are several partitions.
    """
    needed = how.needs_right if left else how.needs_left
    look = _dated(other, how)

    def build(place: Place) -> Operator:
        if apart is not None and any(place.states[spec.name].partitions > 1 for spec in other.stores):
            raise TopologyError(apart)
        return JoinChanges(how, look(place), left, needed, twins)

    return Node(
        name,
        kind,
        build,
        (parent,),
        stores=other.stores,
        reads_keys=other.reads_keys,
        # Where the other side may lack, only the old value tells whether there was a result to take back.
        reads_olds=twins or not needed,
        passes_olds=True,
        asynchronous=other.asynchronous or how.asynchronous,
        copartitioned=True,
    )


class JoinChanges(Operator):
    """`needed`: there is no result without the other side. Of twins a value that goes takes the result with it even if
    the other one has gone already. (Kafka Streams never deletes the result of a table joined with itself.)
    """

    repeatable = True

    def __init__(self, how: Joining, read: ReadDated, left: bool, needed: bool, twins: bool) -> None:
        self._how, self._read, self._left, self._needed, self._twins = how, read, left, needed, twins

    async def process(self, batch: Batch) -> Batch | None:
        others, times = await self._read(batch)
        kept = self._kept(batch, others)
        if not all(kept):
            if not any(kept):
                return None
            batch = batch.select(kept)
            others, times = list(compress(others, kept)), list(compress(times, kept))
        olds = await self._before(batch, others) if self.olds else None
        return batch.replace(
            values=(await self._with(batch, batch.values, others), self._how.value),
            timestamps=_later(batch.timestamps, _times(others, times)),
            olds=olds,
        )

    def _kept(self, batch: Batch, others: Column) -> list[bool]:
        """Which rows say anything about the result."""
        if None not in others:
            return [True] * len(batch)
        if self._needed and not self._twins:
            return [other is not None for other in others]
        news, olds = batch.values, batch.olds or [None] * len(batch)
        if self._needed:
            return [
                other is not None or (new is None and old is not None)
                for other, new, old in zip(others, news, olds, strict=True)
            ]
        return [
            other is not None or new is not None or old is not None
            for other, new, old in zip(others, news, olds, strict=True)
        ]

    async def _before(self, batch: Batch, others: Column) -> Column:
        try:
            return await self._with(batch, batch.olds or [None] * len(batch), others)
        except StreamzError:
            if self.guard.stops or len(batch) > 1:  # of several, each is asked on its own again
                raise
            return [None]  # what it was made from was given up when it came

    async def _with(self, batch: Batch, values: Column, others: Column) -> Column:
        lefts, rights = (values, others) if self._left else (others, values)
        return await _join(self._how, batch, lefts, rights)


def joined(parents: tuple[Node, ...], name: str, kind: str, spec: StoreSpec | None) -> Node:
    """The changes from both sides together; with a spec they are kept in a store."""
    return Node(
        name,
        kind,
        lambda place: Joined(None if spec is None else place.states[spec.name]),
        parents,
        stores=() if spec is None else (spec,),
        reads_keys=False,
        reads_values=False,
        passes_olds=True,
    )


class Joined(Operator):
    repeatable = True

    def __init__(self, state: Any) -> None:
        self._state = state

    async def process(self, batch: Batch) -> Batch:
        if self._state is not None:
            keep(self._state, batch, batch.values)
        return batch
