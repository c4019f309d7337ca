"""Stream with table: the value at that moment, nulls on either side, chosen keys of global tables."""

from typing import Any

import pytest

from streamz_actors.dataflow.lookups import Lookup
from streamz_actors.dataflow.node import Node
from streamz_actors.errors import EncodeError, HandlerError
from streamz_actors.operators import join_table
from streamz_actors.serde.schema import schema_for
from tests.unit.operators.bench import FakePlace, Row, batch_of, build, rows_of, spec_of, state_of
from tests.unit.operators.test_stateless import SOURCE

PRICES = spec_of("prices")
TEXT = schema_for(str)
ROWS: list[Row] = [("a", 1, 10), ("x", 2, 11), (None, 3, 12), ("a", None, 13), (None, None, 14)]


def joined(left: Any, right: Any) -> str:
    return f"{left}+{right}"


async def joined_slowly(left: Any, right: Any) -> str:
    return joined(left, right)


def place() -> FakePlace:
    state = state_of(PRICES)
    state.put_raw(b"a", 7, 99)
    return FakePlace({"prices": state})


def node_of(lookup: Lookup, left: bool, joiner: Any = joined) -> Node:
    return join_table.join_table(SOURCE, "j", lookup, joiner, TEXT, left=left)


@pytest.mark.parametrize("joiner", [joined, joined_slowly])
async def test_an_inner_join_drops_what_has_no_key_no_value_or_no_match(joiner: Any) -> None:
    node = node_of(join_table.by_row_key(PRICES), False, joiner)
    assert rows_of(await build(node, place()).process(batch_of(ROWS))) == [("a", "1+7", 10)]
    assert (node.stores, node.copartitioned, node.reads_keys) == ((PRICES,), True, False)


async def test_a_left_join_drops_only_what_has_no_value() -> None:
    node = node_of(join_table.by_row_key(PRICES), True)
    assert rows_of(await build(node, place()).process(batch_of(ROWS))) == [
        ("a", "1+7", 10),
        ("x", "2+None", 11),
        (None, "3+None", 12),
    ]


async def test_nothing_comes_where_nothing_matches() -> None:
    node = node_of(join_table.by_row_key(PRICES), False)
    assert await build(node, place()).process(batch_of(ROWS[1:])) is None


async def chosen_slowly(key: str | None, value: int | None) -> str | None:
    return chosen(key, value)


def chosen(key: str | None, value: int | None) -> str | None:
    return {1: "a", 2: None, 3: "a"}.get(value or 0)


@pytest.mark.parametrize("key", [chosen, chosen_slowly])
@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (False, [("a", "1+7", 10), (None, "3+7", 12)]),
        (True, [("a", "1+7", 10), ("x", "2+None", 11), (None, "3+7", 12)]),
    ],
)
async def test_a_chosen_key_counts_and_none_matches_nothing(key: Any, left: bool, expected: list[Row]) -> None:
    lookup = join_table.by_chosen_key("prices", PRICES.key_schema, key, "join 'j'")
    node = node_of(lookup, left)
    assert rows_of(await build(node, place()).process(batch_of(ROWS))) == expected
    assert (node.stores, node.copartitioned, node.reads_keys) == ((), False, True)
    assert node.asynchronous is (key is chosen_slowly)


async def test_failures_name_the_record() -> None:
    def refuse(left: Any, right: Any) -> str:
        raise ValueError("no")

    operator = build(node_of(join_table.by_row_key(PRICES), True, refuse), place())
    with pytest.raises(HandlerError, match=r"left_join 'j' failed at topic 'in', partition 0, offset 102"):
        await operator.process(batch_of([("x", None, 1), ("x", None, 1), ("x", 1, 1)]))
    numbers = join_table.by_chosen_key("prices", PRICES.key_schema, lambda k, v: v, "join 'j'")
    operator = build(node_of(numbers, True), place())
    with pytest.raises(EncodeError, match="join key made from topic 'in', partition 0, offset 100"):
        await operator.process(batch_of(ROWS))
