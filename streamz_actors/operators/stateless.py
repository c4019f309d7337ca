"""Row by row: map, flat_map, filter, select_key, peek, foreach. Declaration and behaviour side by side."""

from collections.abc import Callable
from typing import Any

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.calls import Call, failure, over_columns
from streamz_actors.dataflow.node import Node, Operator, is_async
from streamz_actors.serde.schema import Schema

Function = Callable[..., Any]


# -- map: (key, value) → (key, value)


def map_pairs(parent: Node, name: str, function: Function, key: Schema[Any], value: Schema[Any]) -> Node:
    what = f"map {name!r}"
    call = over_columns(function, what)
    return Node(name, "map", lambda _: Map(what, call, key, value), (parent,), asynchronous=is_async(function))


class Map(Operator):
    def __init__(self, what: str, call: Call, key: Schema[Any], value: Schema[Any]) -> None:
        self._what, self._call, self._key, self._value = what, call, key, value

    async def process(self, batch: Batch) -> Batch:
        keys: Column = []
        values: Column = []
        try:
            for key, value in await self._call(batch, batch.keys, batch.values):
                keys.append(key)
                values.append(value)
        except (TypeError, ValueError) as error:
            raise failure(self._what, batch, len(keys), _no_pair(error)) from error
        return batch.replace(keys=(keys, self._key), values=(values, self._value))


def _no_pair(error: Exception) -> TypeError:
    return TypeError(f"the function must give (key, value) pairs: {error}")


# -- map_values: (value) → value


def map_values(parent: Node, name: str, function: Function, value: Schema[Any]) -> Node:
    call = over_columns(function, f"map_values {name!r}")
    return Node(
        name,
        "map_values",
        lambda _: MapValues(call, value),
        (parent,),
        reads_keys=False,
        asynchronous=is_async(function),
    )


class MapValues(Operator):
    def __init__(self, call: Call, value: Schema[Any]) -> None:
        self._call, self._value = call, value

    async def process(self, batch: Batch) -> Batch:
        return batch.replace(values=(await self._call(batch, batch.values), self._value))


# -- flat_map: (key, value) → iterable of (key, value)


def flat_map(parent: Node, name: str, function: Function, key: Schema[Any], value: Schema[Any]) -> Node:
    what = f"flat_map {name!r}"
    call = over_columns(function, what)
    return Node(name, "flat_map", lambda _: FlatMap(what, call, key, value), (parent,), asynchronous=is_async(function))


class FlatMap(Operator):
    def __init__(self, what: str, call: Call, key: Schema[Any], value: Schema[Any]) -> None:
        self._what, self._call, self._key, self._value = what, call, key, value

    async def process(self, batch: Batch) -> Batch | None:
        rows, pairs = flattened(self._what, batch, await self._call(batch, batch.keys, batch.values))
        if not rows:
            return None
        try:
            keys = [key for key, _ in pairs]
            values = [value for _, value in pairs]
        except (TypeError, ValueError) as error:
            raise failure(self._what, batch, rows[_first_odd(pairs)], _no_pair(error)) from error
        return batch.take(rows).replace(keys=(keys, self._key), values=(values, self._value))


def _first_odd(pairs: Column) -> int:
    """The first of the rows that is no pair."""
    return next(index for index, pair in enumerate(pairs) if not isinstance(pair, tuple | list) or len(pair) != 2)


def flattened(what: str, batch: Batch, results: Column) -> tuple[list[int], Column]:
    """What the functions gave, in one column, with the row that each came from; a generator runs only here."""
    rows: list[int] = []
    items: Column = []
    index = 0
    try:
        for index, result in enumerate(results):
            items.extend(result)
            rows.extend([index] * (len(items) - len(rows)))
    except Exception as error:
        raise failure(what, batch, index, error) from error
    return rows, items


# -- flat_map_values: (value) → iterable of values


def flat_map_values(parent: Node, name: str, function: Function, value: Schema[Any]) -> Node:
    what = f"flat_map_values {name!r}"
    call = over_columns(function, what)
    return Node(
        name,
        "flat_map_values",
        lambda _: FlatMapValues(what, call, value),
        (parent,),
        reads_keys=False,
        asynchronous=is_async(function),
    )


class FlatMapValues(Operator):
    def __init__(self, what: str, call: Call, value: Schema[Any]) -> None:
        self._what, self._call, self._value = what, call, value

    async def process(self, batch: Batch) -> Batch | None:
        rows, values = flattened(self._what, batch, await self._call(batch, batch.values))
        return batch.take(rows).replace(values=(values, self._value)) if rows else None


# -- filter, filter_not: (key, value) → whether the row goes on


def keep(parent: Node, name: str, predicate: Function, *, negated: bool = False) -> Node:
    kind = "filter_not" if negated else "filter"
    call = over_columns(predicate, f"{kind} {name!r}")
    return Node(name, kind, lambda _: Filter(call, negated), (parent,), asynchronous=is_async(predicate))


class Filter(Operator):
    def __init__(self, call: Call, negated: bool) -> None:
        self._call, self._negated = call, negated

    async def process(self, batch: Batch) -> Batch | None:
        mask = await self._call(batch, batch.keys, batch.values)
        if self._negated:
            mask = [not row for row in mask]
        if all(mask):
            return batch
        return batch.select(mask) if any(mask) else None


# -- select_key: (key, value) → key


def select_key(parent: Node, name: str, selector: Function, key: Schema[Any], kind: str = "select_key") -> Node:
    call = over_columns(selector, f"{kind} {name!r}")
    return Node(name, kind, lambda _: SelectKey(call, key), (parent,), asynchronous=is_async(selector))


class SelectKey(Operator):
    def __init__(self, call: Call, key: Schema[Any]) -> None:
        self._call, self._key = call, key

    async def process(self, batch: Batch) -> Batch:
        return batch.replace(keys=(await self._call(batch, batch.keys, batch.values), self._key))


# -- peek, foreach: (key, value) → nothing


def look(parent: Node, name: str, function: Function, *, last: bool = False) -> Node:
    """peek; with `last` foreach, which nothing comes out of."""
    kind = "foreach" if last else "peek"
    call = over_columns(function, f"{kind} {name!r}")
    return Node(name, kind, lambda _: Look(call, last), (parent,), asynchronous=is_async(function))


class Look(Operator):
    def __init__(self, call: Call, last: bool) -> None:
        self._call, self._last = call, last

    async def process(self, batch: Batch) -> Batch | None:
        await self._call(batch, batch.keys, batch.values)
        return None if self._last else batch
