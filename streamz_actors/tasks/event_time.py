"""Event time: the record's own, or what the topic's extractor makes of its value; and what becomes of one without."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from streamz_actors.dataflow.policies import Fail, Skip
from streamz_actors.dataflow.policies import Final as LastWord
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import DecodeError
from streamz_actors.serde.schema import FAILED
from streamz_actors.tasks.buffer import milliseconds

NONE: Final = -1
"""Stands for no time."""


class Wrong(NamedTuple):
    """A record that cannot be used as it is."""

    row: int
    error: DecodeError
    policy: LastWord
    mend: str
    """What the user can set to go on."""


class EventTime:
    """Of one topic at one partition. `now` is the wall clock, in ms; `policy` that of records that cannot be read."""

    def __init__(self, topic: Topic[Any, Any], now: Callable[[], int], policy: LastWord) -> None:
        self._topic, self._now, self._on_decode_error = topic, now, policy
        self._highest = NONE
        """The partition's time: the highest of its records so far; kept where somebody asks for it."""

    def of(self, values: Sequence[Any], own: list[int]) -> tuple[list[int], list[Wrong]]:
        """The time of each record in ms, and the records that have none. A record without a value has its own."""
        errors: dict[int, DecodeError] = {}
        times = own if self._topic.timestamp is None else self._extracted(self._topic.timestamp, values, own, errors)
        if errors or (times and min(times) < 0):
            return self._mended(list(times), errors)
        if times and self._topic.on_timestamp_error == "partition_time":
            self._highest = max(self._highest, *times)
        return times, []

    def _extracted(
        self,
        extract: Callable[[Any], int | datetime],
        values: Sequence[Any],
        own: Sequence[int],
        errors: dict[int, DecodeError],
    ) -> list[int]:
        times = list(own)
        for row, value in enumerate(values):
            if value is None or value is FAILED:
                continue
            try:
                times[row] = milliseconds(extract(value))
            except Exception as error:
                times[row] = NONE
                errors[row] = DecodeError(f"the topic's timestamp= raised {type(error).__name__}: {error}")
        return times

    def _mended(self, times: list[int], errors: dict[int, DecodeError]) -> tuple[list[int], list[Wrong]]:
        wrong: list[Wrong] = []
        for row, time in enumerate(times):
            if time < 0:
                times[row] = self._instead()
            self._highest = max(self._highest, times[row])
            if times[row] < 0:
                error = errors.get(row) or DecodeError(f"its timestamp is negative: {time} ms")
                times[row] = 0
                wrong.append(Wrong(row, error, self._policy(raised=row in errors), "on_timestamp_error= on the topic"))
        return times, wrong

    def _instead(self) -> int:
        """The time of a record that has none; NONE if it is to have none."""
        match self._topic.on_timestamp_error:
            case "partition_time":
                return self._highest
            case "wall_clock":
                return self._now()
        return NONE

    def _policy(self, *, raised: bool) -> LastWord:
        if self._topic.on_timestamp_error == "fail":
            return Fail()
        return self._on_decode_error if raised and self._topic.on_timestamp_error is None else Skip()
