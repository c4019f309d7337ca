"""count, reduce, aggregate: what is skipped, whose time a result has, deletion, old values, failures."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.dataflow.node import Node, StoreSpec
from streamz_actors.errors import EncodeError, HandlerError, WrongPartition
from streamz_actors.operators import aggregate
from streamz_actors.serde.schema import schema_for
from tests.unit.operators.bench import FakePlace, Row, batch_of, build, rows_of, spec_of, state_of
from tests.unit.operators.test_stateless import SOURCE

COUNTS = spec_of("counts")
ROWS: list[Row] = [("a", 1, 10), (None, 2, 50), ("b", 2, 12), ("a", None, 60), ("a", 3, 5), ("a", 4, 20)]


def place_for(spec: StoreSpec) -> FakePlace:
    return FakePlace({spec.name: state_of(spec)})


async def results(node: Node, rows: list[Row], *, value: Any = int) -> list[Row]:
    place = place_for(node.stores[0])
    return rows_of(await build(node, place).process(batch_of(rows, value=schema_for(value))))


async def test_count_skips_nulls_and_keeps_the_later_time() -> None:
    counted = await results(aggregate.count(SOURCE, COUNTS), ROWS)
    assert counted == [("a", 1, 10), ("b", 1, 12), ("a", 2, 10), ("a", 3, 20)]


async def test_count_reads_no_key_and_no_value() -> None:
    node, place = aggregate.count(SOURCE, COUNTS), place_for(COUNTS)
    batch = batch_of(ROWS)
    out = await build(node, place, children=False).process(batch)
    assert (out, batch._keys, batch._values) == (None, None, None)
    assert (node.reads_keys, node.reads_values, node.copartitioned) == (False, False, True)
    assert place.states["counts"].timestamped("a") == (3, 20)


async def test_count_sees_nulls_in_decoded_columns_too() -> None:
    place = place_for(COUNTS)
    batch = batch_of(ROWS)
    decoded = batch.replace(values=(batch.values, schema_for(str)))
    await build(aggregate.count(SOURCE, COUNTS), place).process(decoded)
    assert place.states["counts"].get("a") == 3


async def test_reduce_starts_with_the_first_value() -> None:
    node = aggregate.reduce(SOURCE, spec_of("sums"), lambda before, value: before * 10 + value)
    assert await results(node, ROWS) == [("a", 1, 10), ("b", 2, 12), ("a", 13, 10), ("a", 134, 20)]
    assert not node.reads_keys


async def test_aggregate_starts_with_the_initializer() -> None:
    spec = spec_of("texts", value=str)
    node = aggregate.aggregate(SOURCE, spec, str, lambda key, value, before: f"{before}{key}{value}")
    assert await results(node, ROWS) == [("a", "a1", 10), ("b", "b2", 12), ("a", "a1a3", 10), ("a", "a1a3a4", 20)]


async def test_async_aggregators_are_awaited_in_order() -> None:
    async def add(key: str, value: int, before: int) -> int:
        return before * 2 + value

    async def join(before: int, value: int) -> int:
        return before - value

    folded = aggregate.aggregate(SOURCE, spec_of("t"), int, add)
    assert await results(folded, ROWS) == [("a", 1, 10), ("b", 2, 12), ("a", 5, 10), ("a", 14, 20)]
    reduced = aggregate.reduce(SOURCE, spec_of("t"), join)
    assert await results(reduced, ROWS) == [("a", 1, 10), ("b", 2, 12), ("a", -2, 10), ("a", -6, 20)]
    assert folded.asynchronous
    assert reduced.asynchronous


async def test_none_deletes_and_the_next_row_starts_anew_with_its_own_time() -> None:
    node = aggregate.reduce(SOURCE, COUNTS, lambda before, value: None)
    rows: list[Row] = [("a", 1, 10), ("a", 2, 5), ("a", 3, 4)]
    assert await results(node, rows) == [("a", 1, 10), ("a", None, 10), ("a", 3, 4)]


async def test_old_values_are_those_before_even_if_the_aggregator_changes_what_it_got() -> None:
    def push(key: str, value: int, before: list[int]) -> list[int]:
        before.append(value)
        return before

    spec = spec_of("lists", value=list[int])
    place = place_for(spec)
    operator = build(aggregate.aggregate(SOURCE, spec, list, push), place, olds=True)
    out = await operator.process(batch_of([("a", 1, 1), ("a", 2, 2)]))
    assert out is not None
    assert (out.values, out.olds) == ([[1], [1, 2]], [None, [1]])
    counted = await build(aggregate.count(SOURCE, COUNTS), place_for(COUNTS), olds=True).process(batch_of(ROWS))
    assert counted is not None
    assert counted.olds == [None, None, 1, 2]


async def test_without_children_only_the_state_changes() -> None:
    place = place_for(COUNTS)
    node = aggregate.reduce(SOURCE, COUNTS, lambda before, value: before + value)
    assert await build(node, place, children=False).process(batch_of(ROWS)) is None
    assert place.states["counts"].get("a") == 8


async def test_nothing_comes_of_rows_that_are_all_skipped() -> None:
    assert await results(aggregate.count(SOURCE, COUNTS), [(None, 1, 1), ("a", None, 2)]) == []


async def test_failures_name_the_record() -> None:
    divides = aggregate.reduce(SOURCE, COUNTS, lambda before, value: before // (value - 3))
    with pytest.raises(HandlerError, match=r"reduce 'counts' failed at topic 'in', partition 0, offset 104: Zero"):
        await results(divides, ROWS)
    misfits = aggregate.aggregate(SOURCE, COUNTS, int, lambda key, value, before: "x" if value == 2 else 1)
    with pytest.raises(EncodeError, match=r"aggregate 'counts': value made from topic 'in', partition 0, offset 102: "):
        await results(misfits, ROWS)


async def test_errors_of_the_framework_pass_through() -> None:
    def refuse(before: int, value: int) -> int:
        raise WrongPartition("not here")

    with pytest.raises(WrongPartition):
        await results(aggregate.reduce(SOURCE, COUNTS, refuse), ROWS)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.none() | st.integers(0, 9), st.integers(0, 99))))
async def test_a_count_is_what_a_dict_would_hold(rows: list[Row]) -> None:
    place = place_for(COUNTS)
    operator = build(aggregate.count(SOURCE, COUNTS), place)
    for at in range(0, len(rows), 3):
        await operator.process(batch_of(rows[at : at + 3]))
    expected: dict[str, tuple[int, int]] = {}
    for key, value, timestamp in rows:
        if key is not None and value is not None:
            count, latest = expected.get(key, (0, 0))
            expected[key] = count + 1, max(latest, timestamp)
    assert {key: (value, at) for key, value, at in place.states["counts"].rows()} == expected
