"""What an actor yields: which bytes leave, headers beside rows without any, and what a failed event leaves behind."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from streamz_actors import App, Out, Record
from streamz_actors.agents.outbox import Outbox
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Refused
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import EncodeError, ProduceError
from streamz_actors.types import Headers, RecordMetadata, TopicPartition

SPACED = b'{ "amount": 1 }'


class Fixed(Record, frozen=True):
    amount: int


class Loose(Record):
    amount: int


class Taken:
    """A collector that keeps what it is given."""

    def __init__(self) -> None:
        self.keys: list[bytes | None] = []
        self.values: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.headers: list[Sequence[Headers] | None] = []
        self.refused: list[Refused | None] = []
        self.noted: list[tuple[int, int]] = []

    def note(self, batch: Batch, row: int, error: ProduceError) -> None:
        self.noted.append((batch.offsets[row], row))

    def partitions(self, topic: str) -> int:
        return 1

    def add(
        self,
        topic: str,
        keys: Sequence[bytes | None],
        values: Sequence[bytes | None],
        timestamps: Sequence[int],
        headers: Sequence[Headers] | None = None,
        refused: Refused | None = None,
    ) -> None:
        self.keys += keys
        self.values += values
        self.timestamps += timestamps
        self.headers.append(headers)
        self.refused.append(refused)

    def send(self, *args: Any, **kwargs: Any) -> "asyncio.Future[RecordMetadata]":
        raise AssertionError("not by an outbox")


def topic(value_type: Any) -> Topic[Any, Any]:
    return App("outbox").topic("out", key_type=str, value_type=value_type)


def batch(of: Topic[Any, Any]) -> Batch:
    return Batch(
        TopicPartition("in", 0),
        range(3),
        [100, 200, 300],
        of.key_schema,
        of.value_schema,
        raw_keys=[b"a", b"b", b"c"],
        raw_values=[SPACED] * 3,
    )


class Hand:
    """The row of the event that is not done."""

    def __init__(self) -> None:
        self.row: tuple[Batch, int] | None = None

    def __call__(self) -> tuple[Batch, int] | None:
        return self.row


def outbox(*topics: Topic[Any, Any], hand: Hand | None = None) -> tuple[Outbox, Taken]:
    taken = Taken()
    return Outbox(topics, (), (), taken, hand or Hand(), taken.note), taken


async def test_the_event_s_own_value_leaves_as_it_came_if_nobody_can_have_changed_it() -> None:
    out, taken = outbox(of := topic(Fixed))
    rows = batch(of)
    out.put(rows, 0, rows.values[0])
    out.put(rows, 1, Fixed(1))
    out.flush()
    assert taken.values == [SPACED, b'{"amount":1}']


async def test_a_value_that_can_be_changed_in_place_is_written_as_it_is_now() -> None:
    out, taken = outbox(of := topic(Loose))
    rows = batch(of)
    rows.values[2].amount = 7
    out.put(rows, 2, rows.values[2])
    out.flush()
    assert (taken.keys, taken.values, taken.timestamps) == ([b"c"], [b'{"amount":7}'], [300])


async def test_a_value_of_a_topic_with_another_type_is_written_in_this_one_s() -> None:
    out, taken = outbox(topic(Loose), hand=(hand := Hand()))
    rows = batch(topic(Fixed))
    hand.row = (rows, 0)
    with pytest.raises(EncodeError):
        out.put(rows, 0, rows.values[0])
    out.drop()
    hand.row = None
    out.put(rows, 1, Loose(3))
    out.flush()
    assert (taken.keys, taken.values) == ([b"b"], [b'{"amount":3}'])


async def test_headers_stand_beside_rows_that_have_none() -> None:
    out, taken = outbox(of := topic(Fixed))
    rows = batch(of)
    out.put(rows, 0, Fixed(0))
    out.put(rows, 1, Out(Fixed(1), key="other", timestamp=5, headers=(("h", b"1"),)))
    out.put(rows, 2, Fixed(2))
    out.flush()
    assert taken.headers == [[(), (("h", b"1"),), ()]]
    assert (taken.keys, taken.timestamps) == ([b"a", b"other", b"c"], [100, 5, 300])


async def test_an_event_under_way_stays_when_finished_ones_leave_and_goes_when_it_fails() -> None:
    first, second, hand = topic(Fixed), topic(Fixed), Hand()
    out, taken = outbox(first, second, hand=hand)
    rows = batch(first)
    out.put(rows, 0, Fixed(0))
    hand.row = (rows, 1)
    out.put(rows, 1, Fixed(1))
    out.flush()
    assert taken.keys == [b"a", b"a"]
    out.drop()
    hand.row = None
    out.put(rows, 2, Fixed(2))
    out.flush()
    assert taken.keys == [b"a", b"a", b"c", b"c"]


@pytest.mark.parametrize("flushes", [False, True])
async def test_what_passes_as_it_came_keeps_its_place_among_what_does_not(flushes: bool) -> None:
    hand = Hand()
    out, taken = outbox(of := topic(Fixed), hand=hand)
    rows = batch(of)
    for index in range(3):
        hand.row = (rows, index)
        out.put(rows, index, rows.values[index])
        out.put(rows, index, Fixed(index))
        if flushes:
            out.flush()
        out.put(rows, index, rows.values[index])
    assert taken.keys == ([b"a"] * 3 + [b"b"] * 3 if flushes else [])
    hand.row = None
    out.flush()
    written = [b'{"amount":0}', b'{"amount":1}', b'{"amount":2}']
    assert taken.values == [value for own in written for value in (SPACED, own, SPACED)]


@pytest.mark.parametrize("flushes", [False, True])
async def test_a_failed_event_takes_back_what_passed_and_what_did_not(flushes: bool) -> None:
    hand = Hand()
    out, taken = outbox(of := topic(Fixed), hand=hand)
    rows = batch(of)
    out.put(rows, 0, rows.values[0])
    hand.row = (rows, 1)
    out.put(rows, 1, rows.values[1])
    if flushes:
        out.flush()
    out.put(rows, 1, Fixed(1))
    out.put(rows, 1, rows.values[1])
    out.drop()
    out.put(rows, 1, rows.values[1])
    hand.row = None
    out.flush()
    assert taken.keys == [b"a", b"b"]


async def test_whoever_is_told_of_a_refused_record_hears_of_its_event() -> None:
    hand = Hand()
    out, taken = outbox(of := topic(Loose), hand=hand)
    first, second = batch(of), batch(of)
    out.put(first, 0, Loose(1))
    out.put(first, 2, Loose(2))
    out.put(second, 1, Out(Loose(3), key="other"))
    hand.row = (second, 1)
    out.flush()
    hand.row = None
    out.flush()
    sent, rest = taken.refused
    assert sent is not None
    assert rest is not None
    error = ProduceError("too large", {1: "too large"})
    sent(1, error)
    rest(0, error)
    assert taken.noted == [(2, 2), (1, 1)]
