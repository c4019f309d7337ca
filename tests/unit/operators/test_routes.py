"""merge, split and branches."""

from typing import Any

from streamz_actors.operators import routes
from tests.unit.operators.bench import batch_of, build, rows_of, spec_of
from tests.unit.operators.test_stateless import ROWS, SOURCE


async def test_merge_and_changes_give_on_what_they_get() -> None:
    batch = batch_of(ROWS)
    assert await build(routes.merge((SOURCE, SOURCE), "m")).process(batch) is batch
    assert await build(routes.changes(spec_of("t"))).process(batch) is batch


async def test_the_first_predicate_that_holds_takes_a_row_and_later_ones_are_not_asked() -> None:
    asked: list[Any] = []

    def small(key: Any, value: Any) -> bool:
        return value is not None and value < 3

    def any_value(key: Any, value: Any) -> bool:
        asked.append(value)
        return value is not None

    batch = batch_of(ROWS)
    marked = await build(routes.split(SOURCE, "s", [small, any_value], default=2)).process(batch)
    assert marked is not None
    assert asked == [None, 4]
    assert marked.branches == [0, 0, 2, 1]
    assert batch.branches is None
    taken = [rows_of(await build(routes.branch(SOURCE, "b", number)).process(marked)) for number in range(4)]
    assert taken == [ROWS[:2], [ROWS[3]], [ROWS[2]], []]


async def test_without_a_default_the_rest_goes_nowhere() -> None:
    marked = await build(routes.split(SOURCE, "s", [lambda k, v: v == 1])).process(batch_of(ROWS))
    assert marked is not None
    assert marked.branches == [0, routes.NO_BRANCH, routes.NO_BRANCH, routes.NO_BRANCH]


async def test_no_predicate_is_asked_once_all_rows_are_taken() -> None:
    def never(key: Any, value: Any) -> bool:
        raise AssertionError("asked for nothing")

    marked = await build(routes.split(SOURCE, "s", [lambda k, v: True, never])).process(batch_of(ROWS))
    assert marked is not None
    assert marked.branches == [0, 0, 0, 0]
