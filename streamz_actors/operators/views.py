"""Tables derived from tables: filter and map_values, as a view without a store of its own or kept under a name.

A view is one function from a column of values to another. It is applied to the changes that pass, and to what the
parent table holds when somebody looks a key up.
"""

from collections.abc import Awaitable, Callable
from itertools import compress
from typing import Any, Protocol

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.calls import Call
from streamz_actors.dataflow.keeping import keep
from streamz_actors.dataflow.lookups import Lookup, Read, ReadDated
from streamz_actors.dataflow.node import Node, Operator, Place, StoreSpec
from streamz_actors.errors import StreamzError
from streamz_actors.serde.schema import Schema


class Derive(Protocol):
    """Values of the view for values of the parent, row by row; None stands for no value in both."""

    def __call__(self, batch: Batch, values: Column) -> Awaitable[Column]: ...


def filtering(call: Call) -> Derive:
    """`call` takes (key, value); it is not asked about tombstones."""

    async def derive(batch: Batch, values: Column) -> Column:
        held = await _over_present(call, batch, values, batch.keys, values)
        return [value if keep else None for value, keep in zip(values, held, strict=True)]

    return derive


def mapping(call: Call) -> Derive:
    """`call` takes (value); tombstones stay tombstones."""

    async def derive(batch: Batch, values: Column) -> Column:
        return await _over_present(call, batch, values, values)

    return derive


async def _over_present(call: Call, batch: Batch, values: Column, *columns: Column) -> Column:
    """Calls for the rows that have a value; the others get None."""
    if None not in values:
        return await call(batch, *columns)
    present = [value is not None for value in values]
    results = iter(await call(batch.select(present), *(list(compress(column, present)) for column in columns)))
    return [next(results) if here else None for here in present]


def look_through(lookup: Lookup, derive: Derive, *, reads_keys: bool, asynchronous: bool) -> Lookup:
    """Looks keys up in a view without a store: in its parent, then through the view."""

    def at(place: Place) -> Read:
        parent = lookup.at(place)

        async def read_view(batch: Batch) -> Column:
            return await derive(batch, await parent(batch))

        return read_view

    dated = None if lookup.dated is None else _dated_through(lookup.dated, derive)
    return Lookup(at, lookup.stores, lookup.reads_keys or reads_keys, lookup.asynchronous or asynchronous, dated)


def _dated_through(look: Callable[[Place], ReadDated], derive: Derive) -> Callable[[Place], ReadDated]:
    def dated(place: Place) -> ReadDated:
        parent = look(place)

        async def read_view(batch: Batch) -> tuple[Column, list[int]]:
            values, times = await parent(batch)
            return await derive(batch, values), times

        return read_view

    return dated


def view(
    parent: Node,
    name: str,
    kind: str,
    derive: Derive,
    value: Schema[Any],
    spec: StoreSpec | None,
    *,
    reads_keys: bool,
    asynchronous: bool,
) -> Node:
    """With a spec the view is kept in a store."""
    return Node(
        name,
        kind,
        lambda place: View(
            derive, value, None if spec is None else place.states[spec.name], drops_nothings=kind == "filter"
        ),
        (parent,),
        stores=() if spec is None else (spec,),
        reads_keys=reads_keys,
        passes_olds=True,
        asynchronous=asynchronous,
    )


class View(Operator):
    """`drops_nothings`: where old values are known, a change from nothing to nothing goes no further. Without them each
    value that is filtered out is a tombstone, as in Kafka Streams.
    """

    repeatable = True

    def __init__(self, derive: Derive, value: Schema[Any], state: Any, *, drops_nothings: bool) -> None:
        self._derive, self._value, self._state, self._drops_nothings = derive, value, state, drops_nothings

    async def process(self, batch: Batch) -> Batch | None:
        values = await self._derive(batch, batch.values)
        olds: Column | None = None
        if self.olds:
            olds = await self._before(batch)
            if self._drops_nothings:
                changed = [value is not None or old is not None for value, old in zip(values, olds, strict=True)]
                batch = batch.select(changed)
                values, olds = list(compress(values, changed)), list(compress(olds, changed))
        if self._state is not None:
            keep(self._state, batch, values)
        return batch.replace(values=(values, self._value), olds=olds) if len(batch) else None

    async def _before(self, batch: Batch) -> Column:
        if batch.olds is None:
            return [None] * len(batch)
        try:
            return await self._derive(batch, batch.olds)
        except StreamzError:
            if self.guard.stops or len(batch) > 1:  # of several, each is asked on its own again
                raise
            return [None]  # what it was made from was given up when it came
