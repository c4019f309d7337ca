"""Processors: forwarding, and punctuation as in Kafka Streams."""

from datetime import timedelta
from typing import Any

import pytest

from streamz_actors.dataflow.node import Operator
from streamz_actors.errors import HandlerError, TopologyError, UsageError
from streamz_actors.operators import processor
from streamz_actors.operators.processor import ProcessorContext
from streamz_actors.serde.schema import schema_for
from tests.unit.operators.bench import FakePlace, batch_of, build, rows_of
from tests.unit.operators.test_stateless import SOURCE

ANY = schema_for(Any)


def operator_of(factory: Any, place: FakePlace | None = None) -> Operator:
    node = processor.process(SOURCE, "p", factory, ANY, ANY)
    assert node.timed
    return build(node, place)


class Counting:
    """Forwards its count on each punctuation."""

    def __init__(self, clock: Any = "stream", interval: Any = 0.010) -> None:
        self.clock, self.interval, self.count = clock, interval, 0

    def init(self, context: ProcessorContext) -> None:
        self.context = context
        self.schedule = context.schedule(self.interval, self.punctuate, clock=self.clock)

    def process(self, key: Any, value: Any) -> None:
        self.count += 1

    def punctuate(self, now: int) -> None:
        self.context.forward("count", self.count, timestamp=now)


class Echo:
    def init(self, context: ProcessorContext) -> None:
        self.context = context

    def process(self, key: Any, value: Any) -> None:
        for _ in range(value):
            self.context.forward(key, self.context.timestamp)
        if key == "other":
            self.context.forward(key, self.context.partition, timestamp=1)


async def test_what_is_forwarded_has_time_offset_and_headers_of_the_row_at_hand() -> None:
    batch = batch_of([("a", 2, 10), ("b", 0, 11), ("other", 0, 12)])
    batch.headers = [(("h", b"1"),), (), ()]
    out = await operator_of(Echo).process(batch)
    assert out is not None
    assert rows_of(out) == [("a", 10, 10), ("a", 10, 10), ("other", 0, 1)]
    assert (out.offsets, out.origin) == ([100, 100, 102], batch.origin)
    assert out.headers == [(("h", b"1"),), (("h", b"1"),), ()]


async def test_nothing_forwarded_is_nothing() -> None:
    assert await operator_of(Echo).process(batch_of([("a", 0, 10)])) is None


async def test_stream_time_punctuates_first_at_the_first_row_then_at_whole_intervals() -> None:
    operator = operator_of(Counting)
    seen = []
    assert operator.advance(0, -1) is None
    for time in (97, 99, 100, 101, 155, 159, 160):
        assert await operator.process(batch_of([("a", 1, time)])) is None
        seen.append(rows_of(operator.advance(0, time)))
    assert seen == [
        [("count", 1, 97)],
        [],
        [("count", 3, 100)],
        [],
        [("count", 5, 155)],
        [],
        [("count", 7, 160)],
    ]


async def test_the_wall_clock_punctuates_after_one_interval_and_once_after_a_long_pause() -> None:
    operator = operator_of(lambda: Counting("wall", timedelta(milliseconds=10)))
    seen = [rows_of(operator.advance(now, -1)) for now in (0, 9, 10, 12, 45, 49, 50)]
    assert seen == [[], [], [("count", 0, 10)], [], [("count", 0, 45)], [], [("count", 0, 50)]]


async def test_rows_of_a_punctuation_hold_the_last_offset_seen() -> None:
    operator = operator_of(lambda: Counting("wall"))
    await operator.process(batch_of([("a", 1, 5), ("a", 1, 6)]))
    out = operator.advance(10, 6)
    assert out is not None
    assert (out.origin.topic, list(out.offsets), out.headers) == ("in", [101], None)


async def test_a_cancelled_schedule_is_silent() -> None:
    made = Counting("wall")
    operator = operator_of(lambda: made)
    made.schedule.cancel()
    assert operator.advance(10, -1) is None


async def test_a_callback_may_cancel_what_is_due_after_it() -> None:
    class Two:
        def init(self, context: ProcessorContext) -> None:
            self.context = context
            self.first = context.schedule(0.001, self.on_first, clock="wall")
            self.second = context.schedule(0.002, self.on_second, clock="wall")

        def process(self, key: Any, value: Any) -> None: ...

        def on_first(self, now: int) -> None:
            self.second.cancel()
            self.context.forward("first", None)

        def on_second(self, now: int) -> None:
            self.context.forward("second", None)

    assert rows_of(operator_of(Two).advance(2, -1)) == [("first", None, 2)]


async def test_a_processor_needs_no_init() -> None:
    class Sink:
        def process(self, key: Any, value: Any) -> None: ...

    assert await operator_of(Sink).process(batch_of([("a", 1, 1)])) is None


async def test_failures_name_the_record() -> None:
    class Fails:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def init(self, context: ProcessorContext) -> None:
            context.schedule(1, self.punctuate)

        def process(self, key: Any, value: Any) -> None:
            if value == 2:
                raise self.error

        def punctuate(self, now: int) -> None:
            raise self.error

    batch = batch_of([("a", 1, 1), ("a", 2, 1)])
    with pytest.raises(HandlerError, match=r"process 'p' failed at topic 'in', partition 0, offset 101: ValueError"):
        await operator_of(lambda: Fails(ValueError("no"))).process(batch)
    with pytest.raises(HandlerError, match=r"process 'p' \(punctuation\) failed"):
        operator_of(lambda: Fails(ValueError("no"))).advance(0, 0)
    with pytest.raises(UsageError):
        await operator_of(lambda: Fails(UsageError("no"))).process(batch)
    with pytest.raises(UsageError):
        operator_of(lambda: Fails(UsageError("no"))).advance(0, 0)


async def test_what_cannot_be_scheduled_is_refused() -> None:
    async def later(now: int) -> None: ...

    class Slow:
        async def process(self, key: Any, value: Any) -> None: ...

    with pytest.raises(UsageError, match="below a millisecond"):
        operator_of(lambda: Counting(interval=0))
    with pytest.raises(UsageError, match="clock='moon'"):
        operator_of(lambda: Counting(clock="moon"))
    with pytest.raises(UsageError, match="not `async def`"):
        ProcessorContext(FakePlace()).schedule(1, later)
    with pytest.raises(TopologyError, match="no `async def`"):
        operator_of(Slow)
