"""A record that came too late: dropped by one operator, wholly or for one of its windows, and never without a word."""

from dataclasses import dataclass
from typing import Any

from streamz_actors.dataflow.batch import Batch


@dataclass(frozen=True, slots=True)
class Late:
    """What `on_late` is given, and what the test kit lists. Times are in ms since the epoch."""

    operator: str
    topic: str
    partition: int
    offset: int
    """Where the record came from."""
    key: Any
    value: Any
    timestamp: int
    stream_time: int
    """The highest timestamp that the operator had seen, this record's included."""
    window_start: int | None
    """Of the window that it was too late for; None where there is no window (a join)."""
    window_end: int | None


def late_row(
    operator: str, batch: Batch, row: int, stream_time: int, window: tuple[int, int] | None = None
) -> Late:
    """The report on one row. `window`: start and end of the one that had closed."""
    start, end = (None, None) if window is None else window
    topic, partition = batch.origin
    return Late(
        operator,
        topic,
        partition,
        batch.offsets[row],
        batch.key_at(row),
        batch.values[row],
        batch.timestamps[row],
        stream_time,
        start,
        end,
    )
