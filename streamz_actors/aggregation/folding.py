"""What an aggregation does with its rows, whatever its windows are: count, reduce, aggregate, one of several groups."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streamz_actors.dataflow.node import is_async

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Folding:
    """`step` takes (key, value, aggregate). Without an initializer a key's first value is its first aggregate.

    `merger` takes (key, one, two) and makes one aggregate of those of two sessions.
    """

    what: str
    """Kind and name, for messages: `count 'totals'`."""
    initializer: Function | None
    step: Function
    merger: Function | None = None
    counting: bool = False
    """The step adds one: it need not be called, and looks neither at the key nor at the value."""

    @property
    def kind(self) -> str:
        return self.what.split(" ", 1)[0]

    @property
    def asynchronous(self) -> bool:
        """Whether any of its functions is to be awaited."""
        return is_async(self.step) or is_async(self.merger)

    @property
    def reads_keys(self) -> bool:
        return not self.counting and self.initializer is not None


def counting(name: str) -> Folding:
    return Folding(f"count {name!r}", _zero, _one_more, _both, counting=True)


def reducing(name: str, reducer: Function) -> Folding:
    """`reducer` takes (aggregate, value), and joins two sessions' aggregates as well: (earlier, later)."""
    if is_async(reducer):

        async def step(key: Any, value: Any, aggregate: Any) -> Any:
            return await reducer(aggregate, value)

        async def merger(key: Any, one: Any, two: Any) -> Any:
            return await reducer(one, two)

        return Folding(f"reduce {name!r}", None, step, merger)
    return Folding(
        f"reduce {name!r}",
        None,
        lambda key, value, aggregate: reducer(aggregate, value),
        lambda key, one, two: reducer(one, two),
    )


def aggregating(name: str, initializer: Function, aggregator: Function, merger: Function | None = None) -> Folding:
    return Folding(f"aggregate {name!r}", initializer, aggregator, merger)


def _zero() -> int:
    return 0


def _one_more(key: Any, value: Any, aggregate: int) -> int:
    return aggregate + 1


def _both(key: Any, one: int, two: int) -> int:
    return one + two
