"""Sliding windows in one task: what becomes of a row, functions of both kinds, failures, late records."""

from typing import Any

import pytest

from streamz_actors.aggregation.folding import Folding, aggregating, counting, reducing
from streamz_actors.aggregation.sliding_windows import early, slide, sliding, sliding_state
from streamz_actors.dataflow.node import Node, Operator, StoreSpec
from streamz_actors.errors import EncodeError, HandlerError
from streamz_actors.serde.schema import schema_for
from streamz_actors.stores.spans import Span
from streamz_actors.windows.definitions import Sliding
from tests.unit.operators.bench import FakePlace, Row, batch_of, build, rows_of, state_of
from tests.unit.operators.test_stateless import SOURCE

WINDOW = Sliding(0.010, grace=0.005)


def node_of(folding: Folding, *, value: Any = int, emit: str = "update") -> Node:
    schema, layout, kept = sliding_state(WINDOW, schema_for(value), 0)
    spec = StoreSpec("t", schema_for(str, key=True), schema, None, retention=kept, layout=layout)
    return sliding(SOURCE, spec, WINDOW, folding, emit=emit, on_late=None, close_on_idle=None)


def place_of(node: Node) -> FakePlace:
    return FakePlace({"t": state_of(node.stores[0])})


async def results(operator: Operator, *rows: Row) -> list[tuple[Any, ...]]:
    out = rows_of(await operator.process(batch_of(rows)))
    return [(key.key, key.start, key.end, value, time) for key, value, time in out]


def span(start: int, latest: int) -> Span:
    return start, latest, f"{start}..{latest}", None


def test_the_first_record_gets_a_left_window() -> None:
    assert slide((), 100, 10) == ([(90, None, None)], None, 1)


def test_a_record_behind_another_makes_that_ones_right_window_and_begins_with_what_they_share() -> None:
    before = span(90, 100)
    assert slide((before,), 105, 10)[0] == [(101, None, None), (95, None, before)]
    assert slide((before,), 111, 10)[0] == [(101, None, None), (101, None, None)]
    assert slide((before,), 112, 10)[0] == [(102, None, None)]


def test_a_record_before_others_gets_a_right_window_of_what_is_around_it() -> None:
    around = span(90, 100)
    takings, right, right_at = slide((around,), 95, 10)
    assert takings == [(90, around, around), (85, None, None)]
    assert (right, right_at) == (around, 2)


def test_a_second_record_of_one_moment_makes_no_window() -> None:
    left, right = span(90, 100), span(101, 105)
    assert slide((left, right), 100, 10) == ([(90, left, left)], None, 0)


def test_records_of_the_first_moments_share_a_window() -> None:
    assert early((), 3) == ([(0, None, None)], None, 0)
    together = span(0, 3)
    assert early((together,), 7) == ([(4, None, None), (0, together, together)], None, 0)
    assert early((together,), 1) == ([(0, together, together)], together, 0)


async def test_the_updates_of_a_few_records() -> None:
    node = node_of(aggregating("t", str, lambda key, value, text: f"{text}{value}"), value=str)
    rows: list[Row] = [("a", 1, 100), ("a", 2, 105), ("a", 3, 103), (None, 4, 103), ("a", None, 103), ("a", 5, -1)]
    assert await results(build(node, place_of(node)), *rows) == [
        ("a", 90, 100, "1", 100),
        ("a", 101, 111, "2", 105),
        ("a", 95, 105, "12", 105),
        ("a", 101, 111, "23", 105),
        ("a", 95, 105, "123", 105),
        ("a", 93, 103, "13", 103),
        ("a", 104, 114, "2", 105),
    ]


async def test_functions_may_be_async() -> None:
    async def reduce(total: int, value: int) -> int:
        return total * 10 + value

    node = node_of(reducing("t", reduce))
    assert node.asynchronous
    rows: list[Row] = [("a", 1, 100), ("a", 2, 105)]
    assert [row[3] for row in await results(build(node, place_of(node)), *rows)] == [1, 2, 12]


async def test_what_is_late_is_told_window_by_window() -> None:
    node = node_of(counting("t"))
    place = place_of(node)
    operator = build(node, place)
    await results(operator, ("b", 1, 100), ("a", 1, 120))
    # 104 is late as a whole. 112 comes too late for [102, 112], the window that it ends.
    assert await results(operator, ("a", 1, 104), ("a", 1, 112)) == [
        ("a", 110, 120, 2, 120),
        ("a", 113, 123, 1, 120),
    ]
    assert [(late.timestamp, late.window_start, late.window_end) for late in place.lates] == [
        (104, 104, 114),
        (112, 102, 112),
    ]


async def test_failures_name_the_record() -> None:
    def add(key: str, value: int, total: int) -> Any:
        return 1 // value if value < 2 else object()

    node = node_of(aggregating("t", int, add))
    with pytest.raises(HandlerError, match=r"aggregate 't' failed at topic 'in', partition 0, offset 101: ZeroDiv"):
        await results(build(node, place_of(node)), ("a", 1, 1), ("b", 0, 2))
    with pytest.raises(EncodeError, match=r"aggregate 't': value made from topic 'in', partition 0, offset 100: "):
        await results(build(node, place_of(node)), ("a", 5, 1))
