"""The windows of W3 and its kin, and the truth about them: every update that must come out, by plain simulation.

Orders come in the order of their event times, a millisecond apart, so none is late and no session is joined with
another: each order begins a session or extends the last one of its account.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from benchmarks.orders import Dataset, Digest, Order

TUMBLING: Final = 60_000
"""Size of W3's windows, in ms; so are all of these."""
HOPPING: Final = 60_000
ADVANCE: Final = 10_000
GAP: Final = 10_000
"""Of W3s. Some 60 % of Zipf's orders come less than this after the last one of their account."""
SLIDING: Final = 200_000
"""Of W3w. An account of the uniform orders has one in 100 s on average, so a window ends up with three."""


class Update(NamedTuple):
    """The sum of an account's window from now on; None: there is no such window any more."""

    key: bytes
    start: int
    end: int
    total: int | None


def aligned(dataset: Dataset, size: int, advance: int) -> Iterator[Update]:
    """Windows [start, start + size) at every multiple of `advance`; each order is in size / advance of them."""
    totals: dict[int, dict[bytes, int]] = {}
    for order in dataset.orders():
        last = order.timestamp // advance * advance
        for start in range(last - size + advance, last + 1, advance):
            if start not in totals:
                totals = {begun: found for begun, found in totals.items() if begun + size > order.timestamp}
                totals[start] = defaultdict(int)
            totals[start][order.key] += order.quantity
            yield Update(order.key, start, start + size, totals[start][order.key])


def sessions(dataset: Dataset, gap: int) -> Iterator[Update]:
    """From the first to the last order of an account with never more than `gap` between; a longer one replaces it."""
    last: dict[bytes, tuple[int, int, int]] = {}
    for order in dataset.orders():
        key, now = order.key, order.timestamp
        start, end, total = last.get(key, (now, now, 0))
        if now - end > gap:
            start, total = now, 0
        elif end < now:
            yield Update(key, start, end, None)
        last[key] = start, now, total + order.quantity
        yield Update(key, start, now, total + order.quantity)


def sliding(dataset: Dataset, size: int) -> Iterator[Update]:
    """Windows [start, start + size], one that ends with each order and one that begins just behind it.

    The latter is there as soon as it has an order. So an order is in the window that it ends, and in those behind
    each of the account's orders of the `size` before it.
    """
    earlier: dict[bytes, list[Order]] = defaultdict(list)
    for order in dataset.orders():
        key, now = order.key, order.timestamp
        near = earlier[key] = [one for one in earlier[key] if one.timestamp >= now - size - 1]
        near.append(order)
        for start in {now - size, *(one.timestamp + 1 for one in near[:-1])}:
            yield Update(key, start, start + size, sum(one.quantity for one in near if one.timestamp >= start))


def updates(workload: str, dataset: Dataset) -> Iterator[Update]:
    """All that must come out of a workload."""
    match workload:
        case "W3":
            return aligned(dataset, TUMBLING, TUMBLING)
        case "W3h":
            return aligned(dataset, HOPPING, ADVANCE)
        case "W3s":
            return sessions(dataset, GAP)
        case "W3w":
            return sliding(dataset, SLIDING)
    raise ValueError(f"{workload} has no windows")


@lru_cache(maxsize=8)
def summed(workload: str, dataset: Dataset) -> Digest:
    found = Digest()
    for update in updates(workload, dataset):
        found.add(*update)
    return found
