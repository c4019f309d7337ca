"""When a process is started again, and what comes of all ends together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.cli.restarts import FIRST, HOME, LONGEST, SETTLED, Backoff, End, exit_code, hopeless, is_missed

ends = st.builds(End, st.integers(-64, 255), st.floats(0, 1e6), st.floats(0, 1e6))


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff()
    assert [backoff.after(End(1, 0.1)) for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


def test_a_minute_of_being_ready_makes_up_for_what_was_before() -> None:
    backoff = Backoff()
    for _ in range(4):
        backoff.after(End(1, 0.1))
    assert backoff.after(End(1, 70.0, ready_for=59.9)) == 8
    assert backoff.after(End(-9, 70.0, ready_for=60.0)) == 0.5
    assert backoff.after(End(-9, 1.0)) == 1


@given(st.lists(ends))
def test_a_pause_is_never_out_of_bounds_and_only_a_good_life_shortens_it(lives: list[End]) -> None:
    backoff, before = Backoff(), FIRST
    for end in lives:
        pause = backoff.after(end)
        assert FIRST <= pause <= LONGEST
        assert pause == FIRST if end.ready_for >= SETTLED else pause >= before
        before = pause


def test_only_a_wrong_call_before_anything_worked_is_hopeless() -> None:
    assert hopeless(End(2, 1.0), any_ready=False)
    assert not hopeless(End(2, 1.0), any_ready=True)
    assert not hopeless(End(1, 1.0), any_ready=False)
    assert not hopeless(End(0, 1.0), any_ready=False)


@pytest.mark.parametrize("code", [1, 143, -9])
def test_the_group_misses_one_that_died_unless_it_keeps_its_place_and_is_back_soon(code: int) -> None:
    end = End(code, 1.0)
    assert is_missed(end, static=False, pause=0.0)
    assert not is_missed(end, static=True, pause=HOME)
    assert is_missed(end, static=True, pause=2 * HOME)


def test_the_group_has_been_left_by_one_that_ended_well() -> None:
    assert not is_missed(End(0, 1.0), static=False, pause=30.0)


@pytest.mark.parametrize(
    ("codes", "together"),
    [([], 0), ([0, 0], 0), ([0, 1], 1), ([2, 0], 2), ([2, 1], 1), ([-9, 0], 1), ([-9, 1], 1), ([143, 143], 143)],
)
def test_together_they_fail_if_one_failed_in_the_end(codes: list[int], together: int) -> None:
    assert exit_code(End(code, 1.0) for code in codes) == together


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (End(0, 3.25), "ended by itself after 3.2 s"),
        (End(1, 0.5, message="no broker"), "failed with code 1 after 0.5 s: no broker"),
        (End(-9, 12.0), "was ended by SIGKILL after 12.0 s"),
        (End(-77, 12.0), "was ended by signal 77 after 12.0 s"),
    ],
)
def test_an_end_says_how_when_and_why(end: End, text: str) -> None:
    assert str(end) == text
