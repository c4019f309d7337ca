"""W3j with the DSL: orders and their shipments, two streams joined within ten seconds."""

import os

from benchmarks.ours.base import INPUT, OUTPUT, Order, make_app, topic
from streamz_actors import JoinWindow, Record

WITHIN = JoinWindow(before=0, after=10, grace=1)
"""The grace keeps what is just 10 s old for when both sides have reached the same millisecond."""


class Shipment(Record, frozen=True):
    id: int
    account: str
    carrier: str
    parcels: int
    weight: float
    insured: bool


class Shipped(Record, frozen=True):
    id: int
    account: str
    amount: float
    shipment: int
    carrier: str


def shipped(order: Order, shipment: Shipment) -> Shipped:
    return Shipped(order.id, order.account, order.amount, shipment.id, shipment.carrier)


app = make_app()
orders = app.stream(topic(app, INPUT, Order))
shipments = app.stream(topic(app, os.environ["BENCH_SHIPMENTS"], Shipment))
orders.join(shipments, shipped, within=WITHIN).to(topic(app, OUTPUT, Shipped))
