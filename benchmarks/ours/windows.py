"""What the applications with windows share: the sum of what was ordered, and the topic its updates go to."""

from typing import Any

from benchmarks.ours.base import OUTPUT, Order, topic
from streamz_actors import App, Windowed


def zero() -> int:
    return 0


def add(_: str, order: Order, total: int) -> int:
    return total + order.quantity


def both(_: str, one: int, two: int) -> int:
    return one + two


def updates(app: App) -> Any:
    return topic(app, OUTPUT, int, Windowed[str])
