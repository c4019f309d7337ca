"""What suppressing waits for: bounds that make no sense are refused, and each kind of window has its close."""

from typing import Any

import pytest

from streamz_actors.errors import ConfigError
from streamz_actors.windows.definitions import CountWindow, Hopping, Session, Sliding, Tumbling, Unlimited, Window
from streamz_actors.windows.suppression import closing_after, until_time_limit, until_window_closes


@pytest.mark.parametrize(
    ("window", "after"),
    [
        (Tumbling(10, grace=2), 2_000),
        (Hopping(10, 5, grace=3), 3_000),
        (Sliding(10, grace=4), 4_000),
        (Session(10, grace=5), 15_000),
        (Unlimited(), None),
        (CountWindow(3), None),
    ],
)
def test_a_window_closes_its_grace_after_its_end_a_session_a_gap_later(window: Window, after: int | None) -> None:
    assert closing_after(window) == after


def test_final_results_leave_early_under_no_bound() -> None:
    assert until_window_closes(max_records=3).overflow == "shut_down"
    assert until_time_limit(1, max_records=3).overflow == "emit_early"


@pytest.mark.parametrize("bound", [-1, True, 1.5, "3"])
@pytest.mark.parametrize("name", ["max_records", "max_bytes"])
def test_a_bound_is_a_whole_number(name: str, bound: Any) -> None:
    with pytest.raises(ConfigError, match=rf"{name}=.*: a whole number is wanted"):
        until_time_limit(1, **{name: bound})


def test_what_to_do_when_full_is_one_of_two() -> None:
    with pytest.raises(ConfigError, match='"emit_early" or "shut_down" is wanted'):
        until_time_limit(1, overflow="spill")  # type: ignore[arg-type]  # on purpose


def test_a_limit_is_a_duration() -> None:
    with pytest.raises(ConfigError, match="limit=-1"):
        until_time_limit(-1)
