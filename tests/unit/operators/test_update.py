"""Tables of latest values: offset order decides, null keys are dropped, bytes are kept as they came."""

from typing import Any

import pytest

from streamz_actors.errors import EncodeError
from streamz_actors.operators import update
from streamz_actors.serde.schema import schema_for
from tests.unit.operators.bench import FakePlace, batch_of, build, rows_of, spec_of, state_of
from tests.unit.operators.test_stateless import SOURCE

SPEC = spec_of("t")
ROWS = [("a", 1, 10), (None, 7, 11), ("b", 2, 12), ("a", 3, 5), ("b", None, 13)]


async def test_later_rows_win_even_if_their_time_is_earlier() -> None:
    place = FakePlace({"t": state_of(SPEC)})
    out = await build(update.update_table(SOURCE, SPEC, "table"), place).process(batch_of(ROWS))
    state = place.states["t"]
    assert (state.timestamped("a"), state.timestamped("b")) == ((3, 5), None)
    assert rows_of(out) == [("a", 1, 10), ("b", 2, 12), ("a", 3, 5), ("b", None, 13)]
    assert out is not None
    assert out.olds is None


async def test_old_values_are_told_where_somebody_reads_them() -> None:
    place = FakePlace({"t": state_of(SPEC)})
    operator = build(update.update_table(SOURCE, SPEC, "table"), place, olds=True)
    out = await operator.process(batch_of(ROWS))
    assert out is not None
    assert out.olds == [None, None, 1, 2]
    again = await operator.process(batch_of([("a", 9, 1)]))
    assert again is not None
    assert again.olds == [3]


async def test_without_children_nothing_is_made() -> None:
    place = FakePlace({"t": state_of(SPEC)})
    operator = build(update.update_table(SOURCE, SPEC, "table"), place, children=False)
    assert await operator.process(batch_of(ROWS)) is None
    assert place.states["t"].get("a") == 3


async def test_nothing_goes_on_where_no_row_has_a_key() -> None:
    place = FakePlace({"t": state_of(SPEC)})
    assert await build(update.update_table(SOURCE, SPEC, "table"), place).process(batch_of([(None, 1, 1)])) is None


async def test_values_behind_an_own_topic_are_not_decoded() -> None:
    place = FakePlace({"t": state_of(SPEC)})
    node = update.update_table(SOURCE, SPEC, "to_table", decoded=False)
    batch = batch_of(ROWS)
    await build(node, place).process(batch)
    assert (node.reads_keys, node.reads_values, batch._values) == (False, False, None)
    assert place.states["t"].get("a") == 3


async def test_values_of_another_schema_are_encoded_and_a_misfit_names_its_record() -> None:
    place = FakePlace({"t": state_of(SPEC)})
    operator = build(update.update_table(SOURCE, SPEC, "to_table"), place)
    text = schema_for(str)
    with pytest.raises(EncodeError, match="offset 100"):
        await operator.process(batch_of([("a", "one", 1)], value=text))
    await operator.process(batch_of([("a", 5, 1)], value=schema_for(Any)))
    assert place.states["t"].get("a") == 5
