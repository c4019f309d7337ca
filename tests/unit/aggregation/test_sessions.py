"""Sessions in one task: functions of both kinds, failures, late records, what leaves and with which bounds."""

from typing import Any

import pytest

from streamz_actors.aggregation.folding import Folding, aggregating, counting, reducing
from streamz_actors.aggregation.sessions import session, session_state
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.node import Node, Operator, StoreSpec
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import EncodeError, HandlerError, WrongPartition
from streamz_actors.serde.schema import schema_for
from streamz_actors.windows.definitions import Session
from tests.unit.operators.bench import FakePlace, Row, batch_of, build, builder_of, rows_of, state_of, topic_of
from tests.unit.operators.test_stateless import SOURCE

WINDOW = Session(0.010, grace=0.005)


def node_of(
    folding: Folding, *, value: Any = int, emit: str = "update", on_late: Any = None, retention: int = 0
) -> Node:
    schema, layout, kept = session_state(WINDOW, schema_for(value), retention)
    spec = StoreSpec("t", schema_for(str, key=True), schema, None, retention=kept, layout=layout)
    return session(SOURCE, spec, WINDOW, folding, emit=emit, on_late=on_late, close_on_idle=None)


def place_of(node: Node) -> FakePlace:
    return FakePlace({"t": state_of(node.stores[0])})


def shown(rows: list[Row]) -> list[tuple[Any, ...]]:
    return [(key.key, key.start, key.end, value, time) for key, value, time in rows]


async def results(operator: Operator, *rows: Row) -> list[tuple[Any, ...]]:
    return shown(rows_of(await operator.process(batch_of(rows))))


def concatenated() -> Folding:
    return aggregating("t", str, lambda key, value, text: f"{text}{value}", lambda key, one, two: f"{one}({two})")


async def test_each_session_touched_is_merged_into_what_the_initializer_gives() -> None:
    node = node_of(concatenated(), value=str)
    operator = build(node, place_of(node))
    rows: list[Row] = [("a", 1, 100), ("a", 2, 114), ("a", 3, 107)]
    assert await results(operator, *rows) == [
        ("a", 100, 100, "1", 100),
        ("a", 114, 114, "2", 114),
        ("a", 100, 100, None, 100),
        ("a", 114, 114, None, 114),
        ("a", 100, 114, "(1)(2)3", 114),
    ]


async def test_a_session_of_the_same_moment_changes_without_a_tombstone() -> None:
    node = node_of(counting("t"))
    assert await results(build(node, place_of(node)), ("a", None, 5), ("a", 1, 5), (None, 1, 5)) == [
        ("a", 5, 5, 1, 5),
        ("a", 5, 5, 2, 5),
    ]


async def test_functions_may_be_async() -> None:
    async def add(key: str, value: int, total: int) -> int:
        return total + value

    async def both(key: str, one: int, two: int) -> int:
        return one + two * 10

    async def reduce(total: int, value: int) -> int:
        return total - value

    node = node_of(aggregating("t", int, add, both))
    assert node.asynchronous
    assert (await results(build(node, place_of(node)), ("a", 1, 1), ("a", 2, 2)))[-1] == ("a", 1, 2, 12, 2)
    node = node_of(reducing("t", reduce))
    rows: list[Row] = [("a", 9, 1), ("a", 2, 15), ("a", 3, 8)]
    assert (await results(build(node, place_of(node)), *rows))[-1] == ("a", 1, 15, 4, 15)


async def test_rows_name_the_record_that_they_come_from() -> None:
    node = node_of(counting("t"))
    batch = batch_of([("a", 1, 1), (None, 1, 2), ("a", 1, 3)])
    batch.headers = [(("n", b"0"),), (("n", b"1"),), (("n", b"2"),)]
    out = await build(node, place_of(node)).process(batch)
    assert out is not None
    assert list(out.offsets) == [100, 102, 102]
    assert out.headers == [(("n", b"0"),), (("n", b"2"),), (("n", b"2"),)]
    assert (node.reads_keys, node.reads_values, node.copartitioned) == (False, False, True)


@pytest.mark.parametrize("emit", ["update", "close"])
async def test_without_children_only_the_state_changes(emit: str) -> None:
    node = node_of(counting("t"), emit=emit)
    place = place_of(node)
    operator = build(node, place, children=False)
    assert await operator.process(batch_of([("a", 1, 1), ("a", 1, 2), ("b", 1, 90)])) is None
    layout = node.stores[0].layout
    assert layout is not None
    assert layout.windows(place.states["t"].logged, b"b", None, None) == [(90, 90, 1, 90)]


async def test_late_records_are_told_with_the_session_that_they_would_make() -> None:
    told: list[Late] = []
    node = node_of(counting("t"), on_late=told.append)
    place = place_of(node)
    await results(build(node, place), ("a", 1, 100), ("b", 1, 84), ("b", 1, 85))
    assert [(late.key, late.timestamp, late.window_start, late.window_end) for late in told] == [("b", 84, 84, 84)]
    assert place.lates == told


async def test_late_records_may_go_to_a_topic() -> None:
    topic: Topic[Any, Any] = topic_of(builder_of(), "too-late")
    node = node_of(counting("t"), on_late=topic)
    assert node.sends == (topic,)
    place = place_of(node)
    await results(build(node, place), ("a", 1, 100), ("b", 7, 3))
    assert place.collector.sent == [("too-late", [b"b"], [b"7"], [3], None)]


async def test_a_session_lasts_as_long_as_its_records_come_whatever_came_before_its_retention() -> None:
    node = node_of(counting("t"))
    operator = build(node, place_of(node))
    out: list[tuple[Any, ...]] = []
    for time in range(0, 130_000, 8):
        out = await results(operator, ("a", 1, time))
    assert out[-1] == ("a", 0, 129_992, 16_250, 129_992)


async def test_what_has_left_stays_as_it_was_though_it_is_kept_longer() -> None:
    node = node_of(counting("t"), emit="close", retention=100_000)
    place = place_of(node)
    operator = build(node, place)
    assert await results(operator, ("a", 1, 100), ("z", 1, 116)) == [("a", 100, 100, 1, 100)]
    await results(operator, ("a", 1, 105))
    layout = node.stores[0].layout
    assert layout is not None
    windows = layout.windows(place.states["t"].logged, b"a", None, None)
    assert [(start, end) for start, end, _, _ in windows] == [(100, 100), (105, 105)]


async def test_failures_name_the_record() -> None:
    def add(key: str, value: int, total: int) -> Any:
        return 1 // value if value < 2 else object()

    rows: list[Row] = [("a", 1, 1), ("b", 0, 2)]
    node = node_of(aggregating("t", int, add, lambda key, one, two: one))
    with pytest.raises(HandlerError, match=r"aggregate 't' failed at topic 'in', partition 0, offset 101: ZeroDiv"):
        await results(build(node, place_of(node)), *rows)
    with pytest.raises(EncodeError, match=r"aggregate 't': value made from topic 'in', partition 0, offset 100: "):
        await results(build(node, place_of(node)), ("a", 5, 1))


async def test_errors_of_the_framework_pass_through() -> None:
    def refuse(total: int, value: int) -> int:
        raise WrongPartition("not here")

    node = node_of(reducing("t", refuse))
    with pytest.raises(WrongPartition):
        await results(build(node, place_of(node)), ("a", 1, 1), ("a", 1, 2))
