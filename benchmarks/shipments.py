"""What W3j joins the orders with: a shipment for each, some seconds later, in a topic of its own."""

from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from heapq import heappop, heappush
from typing import Final, NamedTuple

from benchmarks.orders import START, Dataset, Digest

WITHIN: Final = 10_000
"""Ms after an order in which a shipment meets it. With uniform keys every tenth one meets another order as well."""
SOONEST: Final = 2_000
SPREAD: Final = 6_000
"""Ms between the shortest and the longest delay of a shipment."""
CARRIERS: Final = ("DHL", "DPD", "GLS", "UPS", "FedEx")


class Shipment(NamedTuple):
    timestamp: int
    number: int
    """Of its order."""
    account: int

    @property
    def carrier(self) -> str:
        return CARRIERS[self.number % len(CARRIERS)]

    @property
    def key(self) -> bytes:
        return b"account-%06d" % self.account

    @property
    def value(self) -> bytes:
        number = self.number
        return b'{"id":%d,"account":"account-%06d","carrier":"%s","parcels":%d,"weight":%.2f,"insured":%s}' % (
            number,
            self.account,
            self.carrier.encode(),
            1 + number % 3,
            0.5 + number % 997 / 4,
            b"true" if number % 5 == 0 else b"false",
        )


def topic(dataset: Dataset) -> str:
    return f"shipments-{dataset.distribution}-{dataset.records}"


def shipments(dataset: Dataset) -> Iterator[Shipment]:
    """In the order of their event times."""
    waiting: list[Shipment] = []
    for order in dataset.orders():
        while waiting and waiting[0].timestamp < order.timestamp + SOONEST:
            yield heappop(waiting)
        delay = SOONEST + order.number * 7_919 % SPREAD
        heappush(waiting, Shipment(START + order.number + delay, order.number, order.account))
    while waiting:
        yield heappop(waiting)


@lru_cache(maxsize=4)
def shipped(dataset: Dataset) -> Digest:
    """What a right join makes of both: every order with every shipment of its account at most WITHIN later."""
    orders = defaultdict(list)
    for order in dataset.orders():
        orders[order.account].append(order)
    found = Digest()
    for shipment in shipments(dataset):
        key = shipment.key.decode()
        for order in orders[shipment.account]:
            if order.timestamp <= shipment.timestamp <= order.timestamp + WITHIN:
                found.add(key, order.number, order.cents / 100, shipment.number, shipment.carrier)
    return found
