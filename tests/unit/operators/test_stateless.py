"""map, flat_map, filter, select_key, peek, foreach, row by row as in Kafka Streams: nulls included."""

from collections.abc import Iterator
from typing import Any

import pytest

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.node import Node, Operator, Place
from streamz_actors.errors import HandlerError
from streamz_actors.operators import stateless
from streamz_actors.serde.schema import schema_for
from tests.unit.operators.bench import Row, batch_of, build, rows_of

TEXT, NUMBER, KEY = schema_for(str), schema_for(int), schema_for(str, key=True)
ROWS: list[Row] = [("a", 1, 10), (None, 2, 12), ("b", None, 11), ("a", 4, 9)]


def no_behaviour(place: Place) -> Operator:
    raise AssertionError("a source has none")


SOURCE = Node("in", "source", no_behaviour)


async def through(node: Node, rows: list[Row]) -> list[Row]:
    return rows_of(await build(node).process(batch_of(rows)))


async def test_map_gives_new_keys_and_values_and_keeps_times() -> None:
    node = stateless.map_pairs(SOURCE, "swap", lambda k, v: (str(v), k), KEY, TEXT)
    assert await through(node, ROWS) == [("1", "a", 10), ("2", None, 12), ("None", "b", 11), ("4", "a", 9)]


async def test_map_values_is_called_for_null() -> None:
    node = stateless.map_values(SOURCE, "text", str, TEXT)
    assert await through(node, ROWS) == [("a", "1", 10), (None, "2", 12), ("b", "None", 11), ("a", "4", 9)]
    assert not node.reads_keys


async def test_flat_map_gives_any_number_of_pairs() -> None:
    def pairs(key: Any, value: Any) -> Iterator[tuple[str, int]]:
        for n in range(value or 0):
            yield f"{key}{n}", value

    node = stateless.flat_map(SOURCE, "flat", pairs, KEY, NUMBER)
    out = await build(node).process(batch_of(ROWS))
    assert out is not None
    assert rows_of(out)[:3] == [("a0", 1, 10), ("None0", 2, 12), ("None1", 2, 12)]
    assert list(out.offsets) == [100, 101, 101, 103, 103, 103, 103]
    assert await build(node).process(batch_of([("a", 0, 1)])) is None


async def test_flat_map_values_keeps_the_key() -> None:
    node = stateless.flat_map_values(SOURCE, "flat", lambda v: [v, -v] if v else (), NUMBER)
    assert await through(node, ROWS[:2]) == [("a", 1, 10), ("a", -1, 10), (None, 2, 12), (None, -2, 12)]
    assert await build(node).process(batch_of([("a", 0, 1)])) is None


async def test_filter_keeps_bytes_and_never_calls_twice() -> None:
    seen: list[Any] = []

    def large(key: Any, value: Any) -> bool:
        seen.append(value)
        return value is not None and value > 1

    batch = batch_of(ROWS)
    out = await build(stateless.keep(SOURCE, "large", large)).process(batch)
    assert isinstance(out, Batch)
    assert rows_of(out) == [(None, 2, 12), ("a", 4, 9)]
    assert out.raw_values == [b"2", b"4"]
    assert seen == [1, 2, None, 4]


async def test_filter_gives_the_batch_itself_or_nothing_where_it_can() -> None:
    batch = batch_of(ROWS)
    assert await build(stateless.keep(SOURCE, "all", lambda k, v: True)).process(batch) is batch
    assert await build(stateless.keep(SOURCE, "none", lambda k, v: True, negated=True)).process(batch) is None


async def test_filter_not_is_the_rest() -> None:
    node = stateless.keep(SOURCE, "rest", lambda k, v: v == 1, negated=True)
    assert await through(node, ROWS) == ROWS[1:]


async def test_select_key_leaves_value_bytes_alone() -> None:
    batch = batch_of(ROWS)
    out = await build(stateless.select_key(SOURCE, "k", lambda k, v: v, NUMBER)).process(batch)
    assert out is not None
    assert (out.keys, out.raw_keys, out.raw_values) == ([1, 2, None, 4], None, batch.raw_values)


async def test_peek_passes_and_foreach_ends() -> None:
    seen: list[Any] = []
    batch = batch_of(ROWS)
    assert await build(stateless.look(SOURCE, "p", lambda k, v: seen.append(k))).process(batch) is batch
    assert await build(stateless.look(SOURCE, "f", lambda k, v: seen.append(v), last=True)).process(batch) is None
    assert seen == ["a", None, "b", "a", 1, 2, None, 4]


async def test_async_functions_are_known_to_suspend() -> None:
    async def doubled(value: int | None) -> int:
        return 2 * (value or 0)

    node = stateless.map_values(SOURCE, "doubled", doubled, NUMBER)
    assert node.asynchronous
    assert await through(node, ROWS[:1]) == [("a", 2, 10)]


@pytest.mark.parametrize(
    "node",
    [
        stateless.map_pairs(SOURCE, "bad", lambda k, v: (k, v) if v != 2 else None, KEY, NUMBER),
        stateless.flat_map(SOURCE, "bad", lambda k, v: [(k, v)] if v != 2 else None, KEY, NUMBER),
        stateless.flat_map(SOURCE, "bad", lambda k, v: [(k, v)] if v != 2 else [(k, v), 7], KEY, NUMBER),
        stateless.flat_map_values(SOURCE, "bad", lambda v: [v] if v != 2 else 7, NUMBER),
    ],
)
async def test_a_result_of_the_wrong_shape_names_its_record(node: Node) -> None:
    with pytest.raises(HandlerError, match=r"'bad' failed at topic 'in', partition 0, offset 101: TypeError"):
        await build(node).process(batch_of(ROWS))


async def test_a_generator_that_fails_on_its_way_names_its_record() -> None:
    def values(value: int) -> Iterator[float]:
        yield value
        yield 1 / (value - 2)

    with pytest.raises(HandlerError, match="offset 101: ZeroDivisionError"):
        await build(stateless.flat_map_values(SOURCE, "late", values, NUMBER)).process(batch_of(ROWS))
