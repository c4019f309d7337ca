"""A changelog's records on their way into a store: chunk by chunk, each with the position that it covers."""

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.stores.abc import Store
from streamz_actors.stores.logged import stamp
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.tasks import restore
from streamz_actors.tasks.restore import apply
from streamz_actors.transport.abc import RawBatch

Row = tuple[bytes | None, bytes | None]

rows = st.lists(
    st.tuples(
        st.one_of(st.none(), st.sampled_from([b"a", b"b", b"c", b"d"])), st.one_of(st.none(), st.binary(max_size=2))
    ),
    max_size=30,
)


class Interrupted(Exception):
    """The restore ends here."""


def fresh_store() -> Store:
    return MemoryBackend().open("task-0", {"t": "here"}).stores["t"]


def batch(records: list[Row], first: int = 0) -> RawBatch:
    keys, values = [key for key, _ in records], [value for _, value in records]
    offsets = range(first, first + len(records))
    return RawBatch("log", 0, keys, values, [offset * 10 for offset in offsets], offsets, None, first + len(records))


def truth(records: list[Row]) -> dict[bytes, bytes]:
    held: dict[bytes, bytes] = {}
    for offset, (key, value) in enumerate(records):
        if key is None:
            continue
        if value is None:
            held.pop(key, None)
        else:
            held[key] = stamp(offset * 10, value)
    return held


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(restore, "CHUNK", 4)
        yield


@given(rows, st.integers(0, 30))
def test_the_store_holds_the_last_value_of_each_key_below_the_end(records: list[Row], end: int) -> None:
    store = fresh_store()
    asyncio.run(apply(store, batch(records), end))
    assert dict(store.scan()) == truth(records[:end])
    assert store.offset == (min(end, len(records)) or None)


@given(rows, st.integers(0, 8))
def test_a_restore_that_is_interrupted_goes_on_from_the_offset_in_the_store(records: list[Row], chunks: int) -> None:
    store = fresh_store()
    left = chunks

    async def pause() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Interrupted

    async def interrupted() -> None:
        try:
            await apply(store, batch(records), None, pause)
        except Interrupted:
            position = store.offset
            assert position is not None
            assert dict(store.scan()) == truth(records[:position])
            await apply(store, batch(records[position:], position))

    asyncio.run(interrupted())
    assert dict(store.scan()) == truth(records)
