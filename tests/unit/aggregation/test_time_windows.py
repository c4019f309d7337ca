"""Windows of one size beyond what the properties try: errors, headers, late records, unlimited windows."""

from typing import Any

import pytest

from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import EncodeError, HandlerError, TopologyError
from streamz_actors.streams.stream import GroupedStream, Stream, source_stream
from streamz_actors.types import Windowed
from streamz_actors.windows.definitions import FOREVER, Hopping, Tumbling, Unlimited
from tests.unit.operators.bench import Bench, Row, builder_of, topic_of


class Case:
    """A grouped stream of a topic, and where results go."""

    def __init__(self) -> None:
        self.builder: TopologyBuilder = builder_of()
        self.topic = topic_of(self.builder, "in")
        self.out = topic_of(self.builder, "out", Windowed[str])
        self.stream: Stream[str, int] = source_stream(self.builder, self.topic)
        self.grouped: GroupedStream[str, int] = self.stream.group_by_key()

    async def play(self, *runs: list[Row]) -> list[Any]:
        self.bench = Bench(self.builder)
        for run in runs:
            await self.bench.send(self.topic, *run)
        return [(key.key, key.start, key.end, value, time) for key, value, time in self.bench.read(self.out)]


async def test_a_tumbling_count_gives_each_change_under_its_window() -> None:
    case = Case()
    case.grouped.windowed_by(Tumbling(0.01)).count().to_stream().to(case.out)
    assert await case.play([("a", 1, 3), ("b", 1, 4), ("a", 1, 9), ("a", 1, 10)]) == [
        ("a", 0, 10, 1, 3),
        ("b", 0, 10, 1, 4),
        ("a", 0, 10, 2, 9),
        ("a", 10, 20, 1, 10),
    ]


async def test_hopping_windows_take_a_record_several_times_the_earliest_window_first() -> None:
    case = Case()
    case.grouped.windowed_by(Hopping(0.01, 0.005)).reduce(lambda one, two: one + two).to_stream().to(case.out)
    assert await case.play([("a", 1, 3), ("a", 2, 7)]) == [("a", 0, 10, 1, 3), ("a", 0, 10, 3, 7), ("a", 5, 15, 2, 7)]


async def test_each_closed_window_of_a_hopping_record_is_reported() -> None:
    case = Case()
    told: list[Late] = []
    case.grouped.windowed_by(Hopping(0.01, 0.005)).count("counts", on_late=told.append).to_stream().to(case.out)
    await case.play([("a", 1, 16), ("a", 2, 8), ("b", 3, 2)])
    shown = [(late.operator, late.key, late.value, late.timestamp, late.window_start, late.window_end) for late in told]
    assert shown == [
        ("count 'counts'", "a", 2, 8, 0, 10),
        ("count 'counts'", "a", 2, 8, 5, 15),
        ("count 'counts'", "b", 3, 2, 0, 10),
    ]
    assert {late.stream_time for late in told} == {16}
    assert case.bench.place.lates == told


async def test_late_records_can_go_to_a_topic_as_they_came() -> None:
    case = Case()
    late = topic_of(case.builder, "late")
    case.grouped.windowed_by(Tumbling(0.01)).count(on_late=late)
    await case.play([("a", 1, 20), ("b", 7, 3)])
    assert case.bench.read(late) == [("b", 7, 3)]


async def test_records_without_a_key_are_skipped_and_do_not_move_time() -> None:
    case = Case()
    case.grouped.windowed_by(Tumbling(0.01)).count().to_stream().to(case.out)
    assert await case.play([(None, 1, 1_000), ("a", None, 3)]) == [("a", 0, 10, 1, 3)]


async def test_an_unlimited_window_has_no_end_and_nothing_is_late_for_it() -> None:
    case = Case()
    case.grouped.windowed_by(Unlimited(0.01)).count().to_stream().to(case.out)
    assert await case.play([("a", 1, 9), ("a", 1, 5_000), ("a", 1, 10), ("b", 1, 3)]) == [
        ("a", 10, FOREVER, 1, 5_000),
        ("a", 10, FOREVER, 2, 5_000),
    ]
    assert case.bench.place.lates == []


async def test_a_failing_aggregator_is_told_with_its_record() -> None:
    case = Case()
    case.grouped.windowed_by(Hopping(0.01, 0.005)).reduce(lambda one, two: one // two, "ratios")
    with pytest.raises(HandlerError, match=r"reduce 'ratios'.*offset 102"):
        await case.play([("a", 1, 3), ("a", 2, 3), ("a", 0, 8)])


async def test_a_value_that_its_type_refuses_is_told_with_its_record() -> None:
    case = Case()
    made: Any = case.grouped.windowed_by(Tumbling(0.01))
    made.aggregate(int, lambda key, value, total: "many", name="words", value_type=int)
    with pytest.raises(EncodeError, match=r"aggregate 'words'.*offset 100"):
        await case.play([("a", 1, 3)])


async def test_asynchronous_functions_are_awaited() -> None:
    async def add(one: int, two: int) -> int:
        return one + two

    case = Case()
    case.grouped.windowed_by(Tumbling(0.01)).reduce(add, emit="close").to_stream().to(case.out)
    assert await case.play([("a", 1, 3), ("a", 2, 4), ("a", 3, 10)]) == [("a", 0, 10, 3, 4)]


async def test_views_of_a_windowed_table_keep_its_windows() -> None:
    case = Case()
    table = case.grouped.windowed_by(Tumbling(0.01)).count()
    view = table.filter(lambda key, value: value > 1).map_values(lambda value: value * 10)
    view.to_stream().to(case.out)
    assert view.window == table.window == Tumbling(0.01)
    assert await case.play([("a", 1, 3), ("a", 1, 4)]) == [("a", 0, 10, None, 3), ("a", 0, 10, 20, 4)]


@pytest.mark.parametrize(
    ("window", "options", "message"),
    [
        (Tumbling(1), {"emit": "sometimes"}, '"update" or "close"'),
        (Unlimited(), {"emit": "close"}, "never closes"),
        (Tumbling(1), {"close_on_idle": 5}, 'for emit="close"'),
    ],
)
def test_options_that_do_not_fit_are_refused(window: Any, options: Any, message: str) -> None:
    with pytest.raises(TopologyError, match=message):
        Case().grouped.windowed_by(window).count(**options)


def test_what_is_no_window_is_refused() -> None:
    window: Any = 60
    with pytest.raises(TopologyError, match="60 is no window"):
        Case().grouped.windowed_by(window)


def test_a_merger_is_for_sessions() -> None:
    with pytest.raises(TopologyError, match="never merge"):
        Case().grouped.windowed_by(Tumbling(1)).aggregate(int, lambda k, v, a: a, merger=lambda k, one, two: one)


def test_windows_are_kept_as_long_as_they_take_records_or_as_long_as_is_asked_for() -> None:
    case = Case()
    windowed = case.grouped.windowed_by(Tumbling(10, grace=5))
    assert windowed.count("short").spec is not None
    kept = {spec.name: spec.retention for spec in case.builder.tables.values()}
    windowed.count("long", retention=3_600)
    windowed.count("least", retention=1)
    kept = {spec.name: spec.retention for spec in case.builder.tables.values()}
    assert kept == {"short": 15_000, "long": 3_600_000, "least": 15_000}
