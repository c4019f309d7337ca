"""The way in: raw records of one topic become batches, with what is read decoded and what cannot be read settled."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.policies import Fail
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import DecodeError
from streamz_actors.serde.schema import FAILED
from streamz_actors.tasks.buffer import Opened, Poison, milliseconds
from streamz_actors.tasks.failures import Failures
from streamz_actors.transport.abc import RawBatch


class Source:
    """Opens raw batches of one topic. `keys` and `values`: whether somebody reads them decoded."""

    def __init__(self, topic: Topic[object, object], failures: Failures, *, keys: bool, values: bool) -> None:
        self._topic, self._failures = topic, failures
        self._keys, self._values = keys, values or topic.timestamp is not None

    def open(self, raw: RawBatch) -> Opened:
        """The batch without the records that could not be decoded; up to the first of them under `Fail`."""
        topic = self._topic
        bad: list[tuple[int, DecodeError]] = []
        keys = topic.key_schema.decode_all(raw.keys, bad) if self._keys else None
        values = topic.value_schema.decode_all(raw.values, bad) if self._values else None
        extract = topic.timestamp
        timestamps = None if extract is None else _extracted(extract, values or [], raw.timestamps, bad)
        batch = Batch.from_raw(
            raw, topic.key_schema, topic.value_schema, keys=keys, values=values, timestamps=timestamps
        )
        return self._settle(raw, batch, bad) if bad else (batch, None)

    def _settle(self, raw: RawBatch, batch: Batch, bad: list[tuple[int, DecodeError]]) -> Opened:
        policy = self._topic.on_decode_error
        bad.sort(key=lambda failure: failure[0])
        if isinstance(policy, Fail):
            row, error = bad[0]
            return batch.slice(0, row), Poison(self._located(raw, row, error), raw.offsets[row])
        mask = [True] * len(batch)
        for row, error in bad:
            if mask[row]:
                mask[row] = False
                self._failures.settle_raw(
                    "decoding",
                    policy,
                    batch.origin,
                    raw.offsets[row],
                    raw.timestamps[row],
                    raw.keys[row],
                    raw.values[row],
                    raw.headers[row] if raw.headers is not None else (),
                    self._located(raw, row, error),
                    1,
                )
        return batch.select(mask), None

    def _located(self, raw: RawBatch, row: int, error: DecodeError) -> DecodeError:
        where = f"cannot decode the record at topic {raw.topic!r}, partition {raw.partition}, offset {raw.offsets[row]}"
        reason = (
            f"{error.reason} (mend or delete the record, or set on_decode_error=Skip() or DeadLetter() on the topic)"
        )
        return DecodeError(reason, field=error.field, where=where)


def _extracted(
    extract: Callable[[Any], int | datetime],
    values: Sequence[Any],
    given: Sequence[int],
    bad: list[tuple[int, DecodeError]],
) -> list[int]:
    """Event times; a row without a value keeps its own. A row whose extractor fails is added to `bad`."""
    timestamps = list(given)
    for row, value in enumerate(values):
        if value is None or value is FAILED:
            continue
        try:
            timestamps[row] = milliseconds(extract(value))
        except Exception as error:
            bad.append((row, DecodeError(f"the topic's timestamp= raised {type(error).__name__}: {error}")))
    return timestamps
