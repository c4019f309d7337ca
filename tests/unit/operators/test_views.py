"""Tables derived from tables: tombstones, old values, stores, lookups through a view."""

from typing import Any

import pytest

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.calls import over_columns
from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.errors import EncodeError
from streamz_actors.operators import join_table, views
from streamz_actors.serde.schema import schema_for
from tests.unit.operators.bench import FakePlace, Row, batch_of, build, rows_of, spec_of, state_of
from tests.unit.operators.test_stateless import SOURCE

NUMBER = schema_for(int)
ROWS: list[Row] = [("a", 1, 10), ("b", 2, 11), ("a", None, 12), ("c", 3, 9)]


def even(key: str, value: int) -> bool:
    return value % 2 == 0


async def even_slowly(key: str, value: int) -> bool:
    return even(key, value)


def filtering(predicate: Any = even) -> views.Derive:
    return views.filtering(over_columns(predicate, "filter"))


def mapping(function: Any) -> views.Derive:
    return views.mapping(over_columns(function, "map_values"))


def view(derive: views.Derive, kind: str = "filter", spec: StoreSpec | None = None, value: Any = NUMBER) -> Any:
    return views.view(SOURCE, "v", kind, derive, value, spec, reads_keys=True, asynchronous=False)


def changes(rows: list[Row], olds: list[Any]) -> Batch:
    batch = batch_of(rows)
    return batch.replace(olds=olds)


@pytest.mark.parametrize("predicate", [even, even_slowly])
async def test_what_is_filtered_out_becomes_a_tombstone(predicate: Any) -> None:
    out = await build(view(filtering(predicate))).process(batch_of(ROWS))
    assert rows_of(out) == [("a", None, 10), ("b", 2, 11), ("a", None, 12), ("c", None, 9)]


async def test_map_values_is_not_called_for_tombstones() -> None:
    out = await build(view(mapping(lambda v: v * 10), "map_values")).process(batch_of(ROWS))
    assert rows_of(out) == [("a", 10, 10), ("b", 20, 11), ("a", None, 12), ("c", 30, 9)]


async def test_known_old_values_go_through_the_view_and_nothing_to_nothing_is_dropped() -> None:
    batch = changes(ROWS, [None, 4, 1, 6])
    out = await build(view(filtering()), olds=True).process(batch)
    assert rows_of(out) == [("b", 2, 11), ("c", None, 9)]
    assert out is not None
    assert out.olds == [4, 6]
    mapped = await build(view(mapping(lambda v: v * 10), "map_values"), olds=True).process(batch)
    assert mapped is not None
    assert mapped.olds == [None, 40, 10, 60]


async def test_old_values_that_nobody_told_are_none() -> None:
    out = await build(view(filtering()), olds=True).process(batch_of(ROWS))
    assert rows_of(out) == [("b", 2, 11)]
    assert await build(view(filtering()), olds=True).process(batch_of(ROWS[:1])) is None


async def test_a_named_view_is_kept() -> None:
    spec = spec_of("evens")
    place = FakePlace({"evens": state_of(spec)})
    operator = build(view(filtering(), spec=spec), place)
    await operator.process(batch_of([("a", 2, 5), ("b", 4, 6)]))
    out = await operator.process(batch_of([("a", 3, 4)]))
    assert rows_of(out) == [("a", None, 4)]
    assert list(place.states["evens"].rows()) == [("b", 4, 6)]


async def test_a_value_that_cannot_be_kept_names_its_record() -> None:
    spec = spec_of("texts")
    place = FakePlace({"texts": state_of(spec)})
    with pytest.raises(EncodeError, match="value made from topic 'in', partition 0, offset 100"):
        await build(view(mapping(str), "map_values", spec), place).process(batch_of(ROWS))


async def test_a_lookup_goes_through_a_view_into_its_parent() -> None:
    spec = spec_of("all")
    state = state_of(spec)
    for key, value in ((b"a", 1), (b"b", 2)):
        state.put_raw(key, value, 0)
    tens = views.look_through(
        join_table.by_row_key(spec), mapping(lambda v: v * 10), reads_keys=False, asynchronous=False
    )
    some = views.look_through(tens, filtering(lambda k, v: k == "b"), reads_keys=True, asynchronous=True)
    found = await some.at(FakePlace({"all": state}))(batch_of([("a", 0, 0), ("b", 0, 0), (None, 0, 0), ("x", 0, 0)]))
    assert found == [None, 20, None, None]
    assert (tens.reads_keys, some.reads_keys, some.asynchronous, some.stores) == (False, True, True, (spec,))
