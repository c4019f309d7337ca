"""Windows as values: durations, starts, retention; what is no window."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.errors import ConfigError
from streamz_actors.windows.definitions import (
    CountWindow,
    Hopping,
    JoinWindow,
    Session,
    Sliding,
    Tumbling,
    Unlimited,
    milliseconds,
    starts,
)


@pytest.mark.parametrize(("given_", "wanted"), [(1, 1_000), (0.25, 250), (timedelta(microseconds=3_000), 3), (0, 0)])
def test_durations_are_kept_in_whole_milliseconds(given_: Any, wanted: int) -> None:
    assert milliseconds(given_, "size") == wanted


@pytest.mark.parametrize("wrong", [-1, 0.0001, "10", True, None, float("nan"), float("inf"), timedelta(microseconds=1)])
def test_what_is_no_duration_is_refused_by_name(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="size="):
        milliseconds(wrong, "size")


@given(st.integers(0, 10**6), st.integers(1, 500), st.data())
def test_the_starts_are_those_of_every_window_that_holds_the_timestamp(
    timestamp: int, size: int, data: st.DataObject
) -> None:
    advance = data.draw(st.integers(1, size))
    naive = [start for start in range(0, timestamp + 1, advance) if start <= timestamp < start + size]
    assert list(starts(timestamp, size, advance)) == naive


def test_windows_compare_by_what_they_are() -> None:
    assert Tumbling(10) == Tumbling(timedelta(seconds=10))
    assert Tumbling(10, grace=1) != Tumbling(10)
    assert (Tumbling(10, 2).retention, Hopping(10, 5, 1).retention) == (12_000, 11_000)
    assert (Sliding(10, 1).retention, Session(5, 1).retention, JoinWindow(1, 2, 3).retention) == (21_000, 6_000, 6_000)


def test_a_hop_larger_than_its_window_and_a_join_that_ends_before_it_begins_are_refused() -> None:
    with pytest.raises(ConfigError, match="in no window"):
        Hopping(5, 6)
    with pytest.raises(ConfigError, match="ends before"):
        JoinWindow(before=-2, after=1)
    assert JoinWindow(before=-1, after=2).size == 1_000


def test_an_unlimited_window_begins_at_a_moment() -> None:
    assert Unlimited().start == 0
    assert Unlimited(5.5) == Unlimited(datetime(1970, 1, 1, 0, 0, 5, 500_000, UTC))
    with pytest.raises(ConfigError, match="start="):
        Unlimited(-1)


@pytest.mark.parametrize("wrong", [0, -3, True, 2.0, "5", None])
def test_a_count_window_has_a_whole_number_of_records(wrong: Any) -> None:
    assert CountWindow(3).size == 3
    with pytest.raises(ConfigError, match="a whole number of records"):
        CountWindow(wrong)
