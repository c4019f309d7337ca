"""The truth about windows and joins: what must come out, against the definitions taken word by word."""

from collections import Counter, defaultdict

import msgspec
import pytest

from benchmarks import shipments
from benchmarks.orders import Dataset, Digest, Order
from benchmarks.shipments import Shipment
from benchmarks.windows import Update, aligned, sessions, sliding, summed, updates
from benchmarks.workloads import WORKLOADS

DATASET = Dataset(3_000)
LAST = 700
"""Records that are few enough to look at all pairs of them."""


def by_key(dataset: Dataset) -> dict[bytes, list[Order]]:
    found = defaultdict(list)
    for order in dataset.orders():
        found[order.key].append(order)
    return found


def last(found: list[Update]) -> dict[tuple[bytes, int, int], int]:
    """What stands in the end."""
    standing: dict[tuple[bytes, int, int], int] = {}
    for key, start, end, total in found:
        if total is None:
            del standing[key, start, end]
        else:
            standing[key, start, end] = total
    return standing


@pytest.mark.parametrize(("size", "advance"), [(400, 400), (400, 100)])
def test_windows_of_one_size_hold_the_orders_between_their_bounds(size: int, advance: int) -> None:
    found = list(aligned(DATASET, size, advance))
    assert len(found) == DATASET.records * size // advance
    orders = by_key(DATASET)
    for (key, start, end), total in last(found).items():
        assert (start % advance, end - start) == (0, size)
        assert total == sum(order.quantity for order in orders[key] if start <= order.timestamp < end)


def test_sessions_end_where_an_account_is_silent() -> None:
    gap, orders = 50, by_key(DATASET)
    standing = last(list(sessions(DATASET, gap)))
    for (key, start, end), total in standing.items():
        times = [order.timestamp for order in orders[key]]
        within = [order for order in orders[key] if start <= order.timestamp <= end]
        assert (within[0].timestamp, within[-1].timestamp) == (start, end)
        assert total == sum(order.quantity for order in within)
        assert not any(0 < start - time <= gap or 0 < time - end <= gap for time in times)
    assert sum(standing.values()) == sum(order.quantity for order in DATASET.orders())


def test_sessions_begin_and_grow_in_the_benchmark() -> None:
    found = Counter(update.total is None for update in updates("W3s", Dataset(30_000)))
    assert found[False] == 30_000
    assert 10_000 < found[True] < 25_000


def test_sliding_windows_end_with_an_order_or_begin_behind_one() -> None:
    size, few = 60, Dataset(LAST)
    standing, orders = last(list(sliding(few, size))), by_key(few)
    wanted = set()
    for key, all_of_key in orders.items():
        times = [order.timestamp for order in all_of_key]
        starts = {time - size for time in times} | {
            time + 1 for time in times if any(time < other <= time + 1 + size for other in times)
        }
        wanted |= {(key, start, start + size) for start in starts}
    assert standing.keys() == wanted
    for (key, start, end), total in standing.items():
        assert total == sum(order.quantity for order in orders[key] if start <= order.timestamp <= end)


@pytest.mark.parametrize("name", ["W3", "W3h", "W3s", "W3w"])
def test_every_update_is_expected(name: str) -> None:
    workload = WORKLOADS[name]
    dataset = workload.dataset(500)
    assert workload.expected(dataset) == summed(name, dataset).count == len(list(updates(name, dataset)))


def test_other_workloads_have_no_windows() -> None:
    with pytest.raises(ValueError, match="W1"):
        updates("W1", DATASET)


def test_every_order_is_shipped_once_in_the_order_of_time() -> None:
    dataset = Dataset(LAST, "uniform")
    found, orders = list(shipments.shipments(dataset)), {order.number: order for order in dataset.orders()}
    assert sorted(shipment.number for shipment in found) == sorted(orders)
    assert [shipment.timestamp for shipment in found] == sorted(shipment.timestamp for shipment in found)
    for shipment in found:
        order = orders[shipment.number]
        assert shipment.key == order.key
        assert 0 < shipment.timestamp - order.timestamp < shipments.WITHIN
    read = msgspec.json.decode(found[0].value)
    assert (read["id"], read["carrier"]) == (found[0].number, found[0].carrier)


def test_orders_meet_the_shipments_of_their_account_that_are_near() -> None:
    dataset, wanted = Dataset(LAST), Digest()
    sent = list(shipments.shipments(dataset))
    for order in dataset.orders():
        for shipment in sent:
            if near(order, shipment):
                wanted.add(order.key.decode(), order.number, order.cents / 100, shipment.number, shipment.carrier)
    assert shipments.shipped(dataset) == wanted
    assert wanted.count > LAST


def near(order: Order, shipment: Shipment) -> bool:
    return order.key == shipment.key and 0 <= shipment.timestamp - order.timestamp <= 10_000
