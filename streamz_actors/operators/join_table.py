"""Stream joined with a table: each row looks up what the table holds now. Changes of the table cause nothing."""

from collections.abc import Callable
from itertools import compress
from typing import Any

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.calls import Call, over_columns
from streamz_actors.dataflow.lookups import Lookup, Read, ReadDated
from streamz_actors.dataflow.node import Node, Operator, Place, StoreSpec, is_async
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.logged import ABSENT, LoggedStore

Function = Callable[..., Any]


def by_row_key(spec: StoreSpec) -> Lookup:
    """In a stored table, under the rows' own keys."""

    def at(place: Place) -> Read:
        logged = place.states[spec.name].logged

        async def read(batch: Batch) -> Column:
            return found(logged, batch.encoded_keys(spec.key_schema))

        return read

    def dated(place: Place) -> ReadDated:
        logged = place.states[spec.name].logged

        async def read(batch: Batch) -> tuple[Column, list[int]]:
            return found_dated(logged, batch.encoded_keys(spec.key_schema))

        return read

    return Lookup(at, (spec,), dated=dated)


def by_chosen_key(table: str, schema: Schema[Any], key: Function, what: str) -> Lookup:
    """In a global table, under the key that `key` gives for (key, value); None matches nothing."""
    call = over_columns(key, f"key of {what}")

    def at(place: Place) -> Read:
        logged = place.states[table].logged

        async def read(batch: Batch) -> Column:
            chosen = await call(batch, batch.keys, batch.values)
            return found(logged, batch.encode("join key", schema, chosen))

        return read

    return Lookup(at, reads_keys=True, asynchronous=is_async(key))


def found(logged: LoggedStore, raws: list[bytes | None]) -> Column:
    logged.load(raws)
    get = logged.get
    if None in raws:
        return [None if raw is None else get(raw) for raw in raws]
    return list(map(get, raws))  # type: ignore[arg-type]  # there is no None among them


def found_dated(logged: LoggedStore, raws: list[bytes | None]) -> tuple[Column, list[int]]:
    """As `found`, with times."""
    logged.load(raws)
    find, value_of = logged.find, logged.value
    helds = [ABSENT if raw is None else find(raw) for raw in raws]
    return list(map(value_of, helds)), [time for _, _, time in helds]


def join_table(
    parent: Node, name: str, lookup: Lookup, joiner: Function, value: Schema[Any], *, left: bool
) -> Node:
    """`joiner` takes (row's value, table's value)."""
    kind = "left_join" if left else "join"
    call = over_columns(joiner, f"{kind} {name!r}")
    return Node(
        name,
        kind,
        lambda place: JoinTable(lookup.at(place), call, value, left),
        (parent,),
        stores=lookup.stores,
        reads_keys=lookup.reads_keys,
        asynchronous=lookup.asynchronous or is_async(joiner),
        copartitioned=bool(lookup.stores),
    )


class JoinTable(Operator):
    """A row without a value is dropped, and one that finds nothing; a left join gives that one None."""

    repeatable = True

    def __init__(self, read: Read, call: Call, value: Schema[Any], left: bool) -> None:
        self._read, self._call, self._value, self._left = read, call, value, left

    async def process(self, batch: Batch) -> Batch | None:
        valued = [value is not None for value in batch.values]
        if not all(valued):
            if not any(valued):
                return None
            batch = batch.select(valued)
        matches = await self._read(batch)
        found = [self._left or match is not None for match in matches]
        if not all(found):
            if not any(found):
                return None
            batch, matches = batch.select(found), list(compress(matches, found))
        return batch.replace(values=(await self._call(batch, batch.values, matches), self._value))
