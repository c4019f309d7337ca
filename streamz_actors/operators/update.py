"""A table that is the latest value of each key of a stream: `app.table(topic)` and `to_table`."""

from itertools import repeat
from typing import Any

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.node import Node, Operator, StoreSpec


def update_table(parent: Node, spec: StoreSpec, kind: str, *, decoded: bool = True) -> Node:
    """`decoded`: every record is read, so that one which cannot be is dealt with here and not where it is looked up.

    Not needed behind a topic that only the application itself writes.
    """
    return Node(
        spec.name,
        kind,
        lambda place: Update(place.states[spec.name], spec, keep_values=decoded and spec.value_schema.immutable),
        (parent,),
        stores=(spec,),
        reads_keys=decoded,
        reads_values=decoded,
    )


class Update(Operator):
    """Writes bytes as they came. A row without a key is dropped, one without a value deletes; offset order decides, not
    time: a late record replaces a newer one, as in Kafka Streams' unversioned tables.
    """

    repeatable = True

    def __init__(self, state: Any, spec: StoreSpec, *, keep_values: bool) -> None:
        self._logged, self._spec, self._keep_values = state.logged, spec, keep_values

    async def process(self, batch: Batch) -> Batch | None:
        raw_keys = batch.encoded_keys(self._spec.key_schema)
        if None in raw_keys:
            batch = batch.select([raw is not None for raw in raw_keys])
            raw_keys = batch.encoded_keys(self._spec.key_schema)
        raw_values = batch.encoded_values(self._spec.value_schema)
        values = batch.values if self._keep_values else repeat(None)
        entries = zip(values, raw_values, batch.timestamps)  # noqa: B905  # `repeat` has no end
        olds: Column | None = None
        if self.olds:
            olds = self._exchange(raw_keys, entries)
        else:
            self._logged.overlay.update(zip(raw_keys, entries, strict=True))
        if self.silent or not len(batch):
            return None
        return batch if olds is None else batch.replace(olds=olds)

    def _exchange(self, raw_keys: Column, entries: Any) -> Column:
        """Writes one by one, and gives what was there before each."""
        olds: Column = []
        logged = self._logged
        logged.load(raw_keys)
        for raw, entry in zip(raw_keys, entries, strict=True):
            olds.append(logged.get(raw))
            logged.overlay[raw] = entry
        return olds
