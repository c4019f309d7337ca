"""The applications that campaigns are held with, by name; each is made with a seed."""

from collections.abc import Callable

from tests.chaos.flights import Flights
from tests.chaos.orders import Orders
from tests.chaos.subject import Subject

SUBJECTS: dict[str, Callable[[int], Subject]] = {
    "orders": lambda seed: Orders(seed),
    "flights": lambda seed: Flights(seed),
}
