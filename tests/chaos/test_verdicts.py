"""What the campaigns call a violation."""

from tests.chaos import flights, orders

TOTALS = [(3, 300.0), (4, 400.0), (5, 500.0)]


def test_exactly_the_alerts_that_must_come_are_right() -> None:
    assert orders.first_differences({"a": TOTALS}, {"a": TOTALS}) == []


def test_an_alert_twice_is_told_with_its_place() -> None:
    (wrong,) = orders.first_differences({"a": [*TOTALS[:2], *TOTALS[1:]]}, {"a": TOTALS})
    assert wrong == "alerts of a: 4, not 3; from the 2th on they are [(4, 400.0), (5, 500.0)], not [(5, 500.0)]"


def test_a_missing_last_alert_is_told() -> None:
    (wrong,) = orders.first_differences({"a": TOTALS[:2]}, {"a": TOTALS})
    assert "2, not 3" in wrong


def test_totals_have_to_be_equal_or_at_least_not_too_low() -> None:
    assert orders.unlike("totals", {"a": 1.0}, {"a": 2.0, "b": 1.0}) == [
        "totals[a] is 1.0, not 2.0",
        "totals[b] is None, not 1.0",
    ]
    assert orders.too_low("totals", {"a": 3.0}, {"a": 2.0}) == []
    assert orders.too_low("totals", {}, {"a": 2.0}) == ["totals[a] is None, below 2.0"]


def test_at_least_once_alerts_may_come_again_and_higher() -> None:
    again = [*TOTALS[:2], (3, 300.0), (4, 800.0), (5, 900.0)]
    assert orders.lost_or_disordered({"a": again}, {"a": TOTALS}) == []


def test_at_least_once_none_may_be_missing_or_first_come_late_or_too_low() -> None:
    assert orders.lost_or_disordered({"a": TOTALS[:1]}, {"a": TOTALS}) == [
        "alerts of a: orders [4, 5] have none, 2 in all"
    ]
    swapped = [TOTALS[0], TOTALS[2], TOTALS[1]]
    assert orders.lost_or_disordered({"a": swapped}, {"a": TOTALS}) == ["alerts of a came in another order: [5, 4]"]
    low = [*TOTALS[:2], (5, 499.0)]
    assert orders.lost_or_disordered({"a": low}, {"a": TOTALS}) == ["alert 5 of a says 499.0, below 500.0"]


def test_what_must_come_is_what_lies_in_the_topic() -> None:
    came: list[orders.Came] = [
        ("a", {"amount": amount, "currency": "EUR"}, number) for number, amount in enumerate((9_000.0, 1_000.0, 5.0))
    ]
    truth = orders.Truth.of([*came, came[2]])
    assert dict(truth.totals) == {"a": 10_010.0}
    assert dict(truth.turnover) == {"EUR": 10_010.0}
    assert dict(truth.alerts) == {"a": [(2, 10_005.0), (2, 10_010.0)]}


def test_orders_that_are_not_in_their_topic_are_told() -> None:
    came: list[orders.Came] = [(account, {}, number) for account in orders.ACCOUNTS for number in (0, 0, 1)]
    assert orders.never_came(came, 2) == []
    assert orders.never_came([row for row in came if row[::2] != (orders.ACCOUNTS[3], 1)], 2) == [
        f"orders [1] of {orders.ACCOUNTS[3]} are not in their topic, 1 in all"
    ]


def test_rows_of_flights_have_to_be_equal_or_at_least_all_there() -> None:
    assert flights.unlike("legs", ["x", "y"], ["y", "x"]) == []
    assert flights.unlike("legs", ["x", "x"], ["x", "y"]) == [
        "legs: too many: 1, such as [('x', 1)]",
        "legs: missing: 1, such as [('y', 1)]",
    ]
    assert flights.too_low("legs", ["x", "x", "y"], ["x", "y"]) == []
    assert flights.too_low("legs", ["x", "x"], ["x", "y"]) == ["legs: 1 never came, such as ['y']"]


def test_counts_of_flights_may_be_too_high_but_not_too_low() -> None:
    wanted = {"UA": (3, 0, 5, 3)}
    assert flights.too_low("carriers", {"UA": (4, 0, 9, 4)}, wanted) == []
    (wrong,) = flights.too_low("carriers", {"UA": (2, 0, 9, 4)}, wanted)
    assert wrong.startswith("carriers: 1 of 1 rows are too low")
    assert flights.unlike("carriers", wanted, wanted) == []
    (wrong,) = flights.unlike("carriers", {"UA": (4, 0, 9, 4)}, wanted)
    assert wrong.startswith("carriers: 1 of 1 rows are wrong")
