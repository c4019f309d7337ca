"""Windows of so many records of a key."""

from typing import Any

import pytest

from streamz_actors.errors import EncodeError, HandlerError, TopologyError
from streamz_actors.windows.definitions import CountWindow
from tests.unit.aggregation.test_time_windows import Case


async def test_windows_follow_one_another_each_key_by_itself_whatever_the_times() -> None:
    case = Case()
    case.grouped.windowed_by(CountWindow(2)).reduce(lambda one, two: one + two).to_stream().to(case.out)
    assert await case.play([("a", 1, 30), ("b", 5, 4), ("a", 2, 9)], [("a", 4, 10), (None, 9, 11)]) == [
        ("a", 0, 2, 1, 30),
        ("b", 0, 2, 5, 4),
        ("a", 0, 2, 3, 30),
        ("a", 2, 4, 4, 10),
    ]


async def test_a_window_closes_with_its_last_record() -> None:
    case = Case()
    case.grouped.windowed_by(CountWindow(2)).count(emit="close").to_stream().to(case.out)
    assert await case.play([("a", 1, 30), ("a", None, 9), ("a", 1, 10)]) == [("a", 0, 2, 2, 30)]


async def test_an_aggregate_that_is_gone_begins_anew_within_its_window() -> None:
    case = Case()
    windowed = case.grouped.windowed_by(CountWindow(3))
    windowed.reduce(lambda one, two: None if two == 0 else one + two).to_stream().to(case.out)  # type: ignore[arg-type, return-value]
    assert await case.play([("a", 1, 1), ("a", 0, 2), ("a", 7, 3), ("a", 8, 4)]) == [
        ("a", 0, 3, 1, 1),
        ("a", 0, 3, None, 2),
        ("a", 0, 3, 7, 3),
        ("a", 3, 6, 8, 4),
    ]


async def test_the_last_window_of_a_key_can_be_looked_up() -> None:
    case = Case()
    table = case.grouped.windowed_by(CountWindow(2)).count("counts")
    await case.play([("a", 1, 3), ("a", 1, 5), ("a", 1, 4)])
    assert table.spec is not None
    layout, logged = table.spec.layout, case.bench.place.states["counts"].logged
    assert layout is not None
    assert layout.windows(logged, b"a", None, None) == layout.windows(logged, b"a", 2, 3) == [(2, 4, 1, 4)]
    assert layout.windows(logged, b"a", 3, None) == layout.windows(logged, b"a", None, 2) == []
    assert layout.windows(logged, b"b", None, None) == []


async def test_errors_are_told_with_their_record() -> None:
    case = Case()
    case.grouped.windowed_by(CountWindow(2)).reduce(lambda one, two: one // two, "ratios")
    with pytest.raises(HandlerError, match=r"reduce 'ratios'.*offset 101"):
        await case.play([("a", 1, 3), ("a", 0, 8)])


async def test_a_value_that_its_type_refuses_is_told_with_its_record() -> None:
    case = Case()
    made: Any = case.grouped.windowed_by(CountWindow(2))
    made.aggregate(int, lambda key, value, total: "many", name="words", value_type=int)
    with pytest.raises(EncodeError, match=r"aggregate 'words'.*offset 100"):
        await case.play([("a", 1, 3)])


async def test_asynchronous_functions_are_awaited() -> None:
    async def add(key: str, value: int, total: int) -> int:
        return total + value

    case = Case()
    case.grouped.windowed_by(CountWindow(2)).aggregate(int, add).to_stream().to(case.out)
    assert await case.play([("a", 1, 3), ("a", 2, 4)]) == [("a", 0, 2, 1, 3), ("a", 0, 2, 3, 4)]


@pytest.mark.parametrize("options", [{"on_late": print}, {"close_on_idle": 1, "emit": "close"}, {"retention": 5}])
def test_options_about_time_are_refused(options: Any) -> None:
    with pytest.raises(TopologyError, match="know no time"):
        Case().grouped.windowed_by(CountWindow(2)).count(**options)
