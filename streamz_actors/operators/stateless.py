"""Row by row: map, flat_map, filter, select_key, peek, foreach. Declaration and behaviour side by side."""

from collections.abc import Callable, Iterable
from itertools import compress
from typing import Any

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.calls import Call, over_columns
from streamz_actors.dataflow.guard import Guard
from streamz_actors.dataflow.node import Node, Operator, is_async
from streamz_actors.serde.schema import Schema

Function = Callable[..., Any]


# -- map: (key, value) → (key, value)


def map_pairs(parent: Node, name: str, function: Function, key: Schema[Any], value: Schema[Any]) -> Node:
    call = over_columns(function, f"map {name!r}")
    return Node(name, "map", lambda _: Map(call, key, value), (parent,), asynchronous=is_async(function))


class Map(Operator):
    def __init__(self, call: Call, key: Schema[Any], value: Schema[Any]) -> None:
        self._call, self._key, self._value = call, key, value

    async def process(self, batch: Batch) -> Batch:
        batch, pairs = await self._call.kept(self.guard, batch, batch.keys, batch.values)
        try:
            columns = _apart(pairs)
        except (TypeError, ValueError):
            there = [_is_pair(self.guard, self._call.what, batch, row, pair) for row, pair in enumerate(pairs)]
            batch, columns = batch.select(there), _apart(compress(pairs, there))
        keys, values = columns
        return batch.replace(keys=(keys, self._key), values=(values, self._value))


def _apart(pairs: Iterable[Any]) -> tuple[Column, Column]:
    keys: Column = []
    values: Column = []
    for key, value in pairs:
        keys.append(key)
        values.append(value)
    return keys, values


def _is_pair(guard: Guard, what: str, batch: Batch, row: int, given: Any) -> bool:
    """One that is none has failed."""
    fine = isinstance(given, tuple | list) and len(given) == 2
    if not fine:
        guard.failed(what, batch, row, TypeError(f"the function must give (key, value) pairs, not {given!r:.100}"))
    return fine


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
        batch, values = await self._call.kept(self.guard, batch, batch.values)
        return batch.replace(values=(values, self._value))


# -- flat_map: (key, value) → iterable of (key, value)


def flat_map(parent: Node, name: str, function: Function, key: Schema[Any], value: Schema[Any]) -> Node:
    call = over_columns(function, f"flat_map {name!r}")
    return Node(name, "flat_map", lambda _: FlatMap(call, key, value), (parent,), asynchronous=is_async(function))


class FlatMap(Operator):
    def __init__(self, call: Call, key: Schema[Any], value: Schema[Any]) -> None:
        self._call, self._key, self._value = call, key, value

    async def process(self, batch: Batch) -> Batch | None:
        batch, results = await self._call.kept(self.guard, batch, batch.keys, batch.values)
        rows, pairs = flattened(self.guard, self._call.what, batch, results)
        try:
            columns = _apart(pairs)
        except (TypeError, ValueError):
            rows, pairs = self._only_pairs(batch, rows, pairs)
            columns = _apart(pairs)
        if not rows:
            return None
        keys, values = columns
        return batch.take(rows).replace(keys=(keys, self._key), values=(values, self._value))

    def _only_pairs(self, batch: Batch, rows: list[int], items: Column) -> tuple[list[int], Column]:
        """Of a row that gave anything else, nothing goes on."""
        what = self._call.what
        odd = {row for row, item in zip(rows, items, strict=True) if not _is_pair(self.guard, what, batch, row, item)}
        there = [row not in odd for row in rows]
        return list(compress(rows, there)), list(compress(items, there))


def flattened(guard: Guard, what: str, batch: Batch, results: Column) -> tuple[list[int], Column]:
    """What the functions gave, in one column, with the row that each came from; a generator runs only here."""
    rows: list[int] = []
    items: Column = []
    for index, result in enumerate(results):
        try:
            items.extend(result)
        except Exception as error:
            guard.failed(what, batch, index, error)
            del items[len(rows) :]
        rows.extend([index] * (len(items) - len(rows)))
    return rows, items


# -- flat_map_values: (value) → iterable of values


def flat_map_values(parent: Node, name: str, function: Function, value: Schema[Any]) -> Node:
    call = over_columns(function, f"flat_map_values {name!r}")
    return Node(
        name,
        "flat_map_values",
        lambda _: FlatMapValues(call, value),
        (parent,),
        reads_keys=False,
        asynchronous=is_async(function),
    )


class FlatMapValues(Operator):
    def __init__(self, call: Call, value: Schema[Any]) -> None:
        self._call, self._value = call, value

    async def process(self, batch: Batch) -> Batch | None:
        batch, results = await self._call.kept(self.guard, batch, batch.values)
        rows, values = flattened(self.guard, self._call.what, batch, results)
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
        batch, mask = await self._call.kept(self.guard, batch, batch.keys, batch.values)
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
        batch, keys = await self._call.kept(self.guard, batch, batch.keys, batch.values)
        return batch.replace(keys=(keys, self._key))


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
        batch, _ = await self._call.kept(self.guard, batch, batch.keys, batch.values)
        return None if self._last else batch
