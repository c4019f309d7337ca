"""What must hold at the end of a simulated run: what came out, against what went in."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any


class Violation(Exception):
    """`invariant` is what does not hold, in a word or two."""

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(invariant, message)  # as it was called: it comes back from another process
        self.invariant = invariant

    def __str__(self) -> str:
        return f"{self.args[0]}: {self.args[1]}"


def in_order(
    topic: str, truth: Mapping[str, list[int]], found: Mapping[str, list[int]], *, exact: bool, ordered: bool = True
) -> None:
    """By key, values that went in in rising order and come out as they are.

    Exactly once: the same. At least once: all of them, none before all that went in before it have come; so what comes
    again (from a zombie too, at any time) can come in between.
    """
    for key in sorted(truth.keys() | found.keys()):
        wanted, got = truth.get(key, []), found.get(key, [])
        if missing := sorted(set(wanted) - set(got)):
            raise Violation("lost", f"{topic}: of {key}, {missing} are missing: {got}")
        if strange := sorted(set(got) - set(wanted)):
            raise Violation("invented", f"{topic}: of {key}, {strange} never went in")
        if exact and len(got) != len(wanted):
            raise Violation("doubled", f"{topic}: of {key}, {_repeated(got)} came more than once: {got}")
        if (exact or ordered) and list(dict.fromkeys(got)) != wanted:
            raise Violation("order", f"{topic}: of {key}, order was not kept: {got}")


def as_a_set(topic: str, truth: Iterable[Any], found: Iterable[Any], *, exact: bool) -> None:
    """In any order."""
    wanted, got = Counter(list(truth)), Counter(list(found))
    if missing := sorted((wanted - got).keys()):
        raise Violation("lost", f"{topic}: {missing} are missing")
    if strange := sorted(set(got) - set(wanted)):
        raise Violation("invented", f"{topic}: {strange} must not be there")
    if exact and (repeated := sorted((got - wanted).keys())):
        raise Violation("doubled", f"{topic}: {repeated} came more than once")


def counted(table: str, truth: Mapping[Any, int], found: Mapping[Any, int], *, exact: bool) -> None:
    """A table of counts; at least once, none is too low."""
    for key in sorted(truth.keys() | found.keys(), key=repr):
        wanted, got = truth.get(key, 0), found.get(key, 0)
        if got < wanted:
            raise Violation("count too low", f"{table}: {key!r} has {got}, not {wanted}")
        if got > wanted and exact:
            raise Violation("count too high", f"{table}: {key!r} has {got}, not {wanted}")


def same(table: str, truth: Mapping[Any, Any], found: Mapping[Any, Any]) -> None:
    """A table that must be right under either guarantee."""
    for key in sorted(truth.keys() | found.keys(), key=repr):
        if truth.get(key) != found.get(key):
            raise Violation("wrong value", f"{table}: {key!r} is {found.get(key)!r}, not {truth.get(key)!r}")


def _repeated(values: Iterable[int]) -> list[int]:
    return sorted(value for value, times in Counter(values).items() if times > 1)
