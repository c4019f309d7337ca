"""How rows are given out: keys of a batch together if they can be decoded; two iterations over one run of rows."""

from collections.abc import Sequence

import pytest

from streamz_actors.agents.lane import Lane
from streamz_actors.agents.stream import AgentStream, events_of, items_of, keys_of
from streamz_actors.clock import SystemClock
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Context
from streamz_actors.errors import DecodeError
from streamz_actors.serde.schema import schema_for
from streamz_actors.types import TopicPartition


def batch(raw_keys: Sequence[bytes | None]) -> Batch:
    count = len(raw_keys)
    return Batch(
        TopicPartition("in", 1),
        range(10, 10 + count),
        [1_000] * count,
        schema_for(int, key=True),
        schema_for(str),
        raw_keys=list(raw_keys),
        values=["v"] * count,
    )


def test_pairs_and_events_carry_decoded_keys() -> None:
    rows = batch([b"1", None, b"3"])
    pair, event = items_of(rows), events_of(rows)
    assert [pair(row) for row in range(3)] == [(1, "v"), (None, "v"), (3, "v")]
    assert (event(2).key, event(2).offset, event(2).partition) == (3, 12, 1)


def test_a_key_that_cannot_be_decoded_fails_with_its_own_row_only() -> None:
    key = keys_of(batch([b"1", b"x", b"3"]))
    assert (key(0), key(2)) == (1, 3)
    with pytest.raises(DecodeError):
        key(1)


class Untold:
    """Nobody wants to know what becomes of events."""

    def watches(self, batch: Batch) -> bool:
        return False

    def finish(self) -> None:
        """Nothing is left to do."""


async def test_two_iterations_share_the_rows_of_one_run() -> None:
    lane = Lane(lambda: None)
    lane.put(batch([b"0", b"1", b"2", b"3", b"4"]), range(5))
    stream: AgentStream[int, str] = AgentStream(lane, Context("agent", 1, {}), SystemClock(), Untold())
    first, second = aiter(stream.events()), aiter(stream.items())
    seen = [(await anext(first)).key, (await anext(second))[0], (await anext(first)).key, (await anext(second))[0]]
    assert seen == [0, 1, 2, 3]
    await stream.close()
