"""Folding a grouped stream into a table: count, reduce, aggregate, all without windows.

Rows without a key or without a value are skipped. A result has the later time of the row and of what it adds to.
"""

from collections.abc import Callable
from itertools import compress
from typing import Any

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.node import Node, Operator, StoreSpec, is_async
from streamz_actors.stores.counting import counted
from streamz_actors.stores.logged import LoggedStore

Function = Callable[..., Any]


def count(parent: Node, spec: StoreSpec) -> Node:
    return Node(
        spec.name,
        "count",
        lambda place: Count(place.states[spec.name], spec),
        (parent,),
        stores=(spec,),
        reads_keys=False,
        reads_values=False,
        copartitioned=True,
        updates=True,
    )


def reduce(parent: Node, spec: StoreSpec, reducer: Function) -> Node:
    """`reducer` takes (aggregate, value); the first value of a key is its first aggregate."""
    return _fold(parent, spec, "reduce", None, lambda _, value, before: reducer(before, value), is_async(reducer))


def aggregate(parent: Node, spec: StoreSpec, initializer: Function, aggregator: Function) -> Node:
    """`aggregator` takes (key, value, aggregate)."""
    return _fold(parent, spec, "aggregate", initializer, aggregator, is_async(aggregator))


def _fold(
    parent: Node, spec: StoreSpec, kind: str, initializer: Function | None, step: Function, asynchronous: bool
) -> Node:
    what = f"{kind} {spec.name!r}"
    return Node(
        spec.name,
        kind,
        lambda place: Fold(what, place.states[spec.name], spec, initializer, step, asynchronous),
        (parent,),
        stores=(spec,),
        reads_keys=initializer is not None,
        asynchronous=asynchronous,
        copartitioned=True,
        updates=True,
    )


class Results:
    """Columns of an aggregation's changes, while a batch is worked on."""

    __slots__ = ("olds", "rows", "timestamps", "values")

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.values: Column = []
        self.timestamps: list[int] = []
        self.olds: Column = []

    def changes(self, batch: Batch, spec: StoreSpec, olds: bool) -> Batch | None:
        if not self.rows:
            return None
        kept = batch if len(self.rows) == len(batch) else batch.take(self.rows)
        return kept.replace(
            values=(self.values, spec.value_schema), timestamps=self.timestamps, olds=self.olds if olds else None
        )


class Count(Operator):
    """Looks at no key and no value: bytes are enough to tell them apart, and a count needs no more. (An integer is kept
    as an object in its entry.)
    """

    repeatable = True

    def __init__(self, state: Any, spec: StoreSpec) -> None:
        self._logged: LoggedStore = state.logged
        self._spec = spec

    async def process(self, batch: Batch) -> Batch | None:
        raw_keys: list[Any] = batch.encoded_keys(self._spec.key_schema)
        if None in raw_keys or None in batch.payloads:
            counting = [
                raw is not None and payload is not None
                for raw, payload in zip(raw_keys, batch.payloads, strict=True)
            ]
            batch, raw_keys = batch.select(counting), list(compress(raw_keys, counting))
        logged = self._logged
        logged.load(raw_keys)
        counts = counted(logged.overlay, logged.beneath, raw_keys, batch.timestamps)
        if self.silent:
            return None
        values = [value for value, _, _ in counts]
        return batch.replace(
            values=(values, self._spec.value_schema),
            timestamps=[timestamp for _, _, timestamp in counts],
            olds=[value - 1 or None for value in values] if self.olds else None,
        )


class Fold(Operator):
    """`step` takes (key, value, aggregate). Without an initializer a key's first value is its first aggregate."""

    repeatable = True

    def __init__(
        self,
        what: str,
        state: Any,
        spec: StoreSpec,
        initializer: Function | None,
        step: Function,
        asynchronous: bool,
    ) -> None:
        self._logged: LoggedStore = state.logged
        self._what, self._spec = what, spec
        self._initializer, self._step, self._asynchronous = initializer, step, asynchronous

    async def process(self, batch: Batch) -> Batch | None:
        results = Results()
        await self._fold(batch, results)
        return results.changes(batch, self._spec, self.olds)

    async def _fold(self, batch: Batch, results: Results) -> None:
        logged, initializer, step, asynchronous = self._logged, self._initializer, self._step, self._asynchronous
        find, value_of, put, silent, olds = logged.find, logged.value, logged.put, self.silent, self.olds
        raw_keys = batch.encoded_keys(self._spec.key_schema)
        logged.load(raw_keys)
        keys = raw_keys if initializer is None else batch.keys
        row = -1
        for raw, key, value, timestamp in zip(raw_keys, keys, batch.values, batch.timestamps, strict=True):
            row += 1
            if raw is None or value is None:
                continue
            before = find(raw)
            old = value_of(before)
            if old is not None and before[2] > timestamp:
                timestamp = before[2]
            try:
                if old is None and initializer is None:
                    new = value
                else:
                    new = step(key, value, initializer() if old is None and initializer is not None else old)
                    if asynchronous:
                        new = await new
                put(raw, new, timestamp)
            except Exception as error:
                self.guard.failed(self._what, batch, row, error)
                continue
            if silent:
                continue
            results.rows.append(row)
            results.values.append(new)
            results.timestamps.append(timestamp)
            if olds:
                # Decoded anew where the aggregator may have changed what it was given.
                results.olds.append(value_of(before))
