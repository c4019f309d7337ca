"""What decides where entries of windows lie: it differs where kept entries would not be found, and only there."""

from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.windows.definitions import (
    CountWindow,
    Hopping,
    JoinWindow,
    Session,
    Sliding,
    Tumbling,
    Unlimited,
    Window,
)


def counted(window: Window, **options: Any) -> str:
    """The arrangement of counts in windows."""
    app = App("shop")
    stream = app.stream(app.topic("orders", key_type=str, value_type=int))
    stream.group_by_key().windowed_by(window).count(name="counts", **options)
    return arrangement(app, "counts")


def arrangement(app: App, table: str) -> str:
    return next(spec.arrangement for spec in app.frozen().tables if spec.name == table)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Tumbling(60), Tumbling(60, grace=3_600)),
        (Tumbling(60), Hopping(60, 60)),
        (Hopping(60, 20), Hopping(60, 20, grace=3_600)),
        (Session(600), Session(300, grace=300)),
        (Session(10), Session(20)),
    ],
    ids=str,
)
def test_what_is_kept_is_found_under_both(one: Window, other: Window) -> None:
    assert counted(one) == counted(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Tumbling(60), Tumbling(30)),
        (Hopping(60, 20), Hopping(60, 30)),
        (Session(600), Session(1_200)),
        (Session(600), Session(600, grace=3_600)),
        (Sliding(60), Sliding(90)),
        (Sliding(600), Sliding(600, grace=3_600)),
        (CountWindow(10), CountWindow(20)),
        (Unlimited(0), Unlimited(10)),
        (Tumbling(60), Session(60)),
    ],
    ids=str,
)
def test_what_is_kept_is_not_found_under_the_other(one: Window, other: Window) -> None:
    assert counted(one) != counted(other)


def test_what_is_kept_for_longer_moves_only_where_segments_follow_it() -> None:
    assert counted(Tumbling(60)) == counted(Tumbling(60), retention=86_400)
    assert counted(Session(600)) != counted(Session(600), retention=86_400)


def test_tables_without_windows_lie_under_their_own_keys() -> None:
    app = App("shop")
    app.table("totals", key_type=str, value_type=int)
    app.stream(app.topic("orders", key_type=str, value_type=int)).group_by_key().count(name="counts")
    assert {spec.arrangement for spec in app.frozen().tables} == {""}


def test_windows_that_handlers_write_lie_as_their_kind_does() -> None:
    app = App("shop")
    app.table("a", key_type=str, value_type=int, default=int, windowed=Tumbling(60))
    app.table("b", key_type=str, value_type=int, default=int, windowed=Session(60), expires=600)
    assert arrangement(app, "a") == "windows of 60000 ms, one every 60000 ms"
    assert arrangement(app, "b") == "sessions, in segments of 330000 ms"


def test_joins_and_histories_lie_in_segments() -> None:
    app = App("shop")
    orders, rates = app.topic("orders", key_type=str, value_type=int), app.topic("rates", key_type=str, value_type=int)
    app.stream(orders).join(app.stream(rates), lambda left, right: left, within=JoinWindow(600, 600), name="priced")
    app.table(app.topic("prices", key_type=str, value_type=int), versioned=3_200)
    lie = {spec.name: spec.arrangement for spec in app.frozen().tables}
    assert (lie["priced-left"], lie["priced-right"]) == ("in segments of 600000 ms",) * 2
    assert (lie["prices"], lie["prices-history"]) == ("", "in segments of 200000 ms")
