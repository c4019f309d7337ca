"""The orders under chaos: each order of an account has a timestamp of its own, which its alert tells again.

Amounts are whole numbers, so sums are exact in any order. The running total of an account, and so each of its
alerts, is known from what lies in the orders' topic. It may have an order twice: a broker that is killed under load has
been seen to take one batch twice, with one producer id and one sequence number, from before and after its restart. Then
it counts twice.
"""

import asyncio
import json
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from apps.orders.app import LIMIT
from streamz_actors.transport.abc import TopicSpec, Transport
from streamz_actors.types import partition_of
from tests.chaos.reading import timed_contents
from tests.integration.kafka_contents import table

PARTITIONS = 8
ACCOUNTS = tuple(f"account-{number}" for number in range(48))
CURRENCIES = ("EUR", "USD", "GBP", "CHF", "JPY")
BEGINNING = 1_700_000_000_000
PAUSE = 0.12
"""Seconds between two rounds, in each of which every account orders once: some 400 orders a second."""

SHOWN = 5

Alert = tuple[int, float]
"""Number of the order within its account, total after it."""

Came = tuple[str, dict[str, Any], int]
"""An order as it lies in its topic: account, fields, its number within the account."""


class Orders:
    app = "apps.orders"
    group = "orders"
    sources = ("orders",)
    tables = ("totals", "turnover")
    settings: dict[str, str] = {}

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._over = False
        self.rounds = 0

    def __str__(self) -> str:
        return f"{self.rounds * len(ACCOUNTS):,} orders"

    async def prepare(self, kafka: Transport) -> None:
        await kafka.admin.create([TopicSpec("orders", PARTITIONS), TopicSpec("alerts", PARTITIONS)])

    async def feed(self, kafka: Transport) -> None:
        producer = kafka.producer("orders-load")
        await producer.start()
        try:
            while not self._over:
                rows = self._round()
                sent = [
                    producer.send("orders", place, keys, values, [BEGINNING + self.rounds] * len(keys))
                    for place, (keys, values) in rows.items()
                ]
                self.rounds += 1
                await asyncio.gather(*sent)
                await asyncio.sleep(PAUSE)
        finally:
            await producer.stop()

    def finish(self) -> None:
        self._over = True

    def _round(self) -> dict[int, tuple[list[bytes | None], list[bytes | None]]]:
        rows: dict[int, tuple[list[bytes | None], list[bytes | None]]] = {}
        for account in ACCOUNTS:
            amount, currency = float(self._chance.randint(1, 500)), self._chance.choice(CURRENCIES)
            keys, values = rows.setdefault(partition_of(account.encode(), PARTITIONS), ([], []))
            keys.append(account.encode())
            values.append(json.dumps({"account": account, "amount": amount, "currency": currency}).encode())
        return rows

    async def violations(self, kafka: Transport, *, exact: bool) -> list[str]:
        rows = await timed_contents(kafka, "orders")
        came = [(key.decode(), order, time - BEGINNING) for key, order, time in rows if key]
        truth = Truth.of(came)
        totals = await table(kafka, "orders-totals-changelog")
        turnover = await table(kafka, "orders-turnover-changelog")
        alerts: dict[str, list[Alert]] = defaultdict(list)
        for key, value, timestamp in await timed_contents(kafka, "alerts"):
            assert key is not None
            alerts[key.decode()].append((timestamp - BEGINNING, value["total"]))
        if not exact:
            return [
                *never_came(came, self.rounds),
                *too_low("totals", totals, truth.totals),
                *too_low("turnover", turnover, truth.turnover),
                *lost_or_disordered(alerts, truth.alerts),
            ]
        return [
            *never_came(came, self.rounds),
            *unlike("totals", totals, truth.totals),
            *unlike("turnover", turnover, truth.turnover),
            *first_differences(alerts, truth.alerts),
        ]

    async def remarks(self, kafka: Transport) -> list[str]:
        rows = Counter((key, time) for key, _, time in await timed_contents(kafka, "orders"))
        twice = sum(count - 1 for count in rows.values())
        return [f"{twice} orders stand in the input twice, and counted twice"] if twice else []


@dataclass
class Truth:
    """What must come of the orders as they lie in their topic, each account's in one partition."""

    totals: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    turnover: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    alerts: dict[str, list[Alert]] = field(default_factory=lambda: defaultdict(list))

    @classmethod
    def of(cls, came: Iterable[Came]) -> "Truth":
        truth = cls()
        for account, order, number in came:
            truth.totals[account] += order["amount"]
            truth.turnover[order["currency"]] += order["amount"]
            if truth.totals[account] > LIMIT:
                truth.alerts[account].append((number, truth.totals[account]))
        return truth


def never_came(came: Iterable[Came], rounds: int) -> list[str]:
    """Orders that were sent and are not in their topic."""
    found: dict[str, set[int]] = {account: set() for account in ACCOUNTS}
    for account, _, number in came:
        found[account].add(number)
    return [
        f"orders {lost[:SHOWN]} of {account} are not in their topic, {len(lost)} in all"
        for account, numbers in found.items()
        if (lost := sorted(set(range(rounds)) - numbers))
    ]


def unlike(name: str, held: dict[str, float], wanted: dict[str, float]) -> list[str]:
    wrong = sorted(key for key in held.keys() | wanted.keys() if held.get(key) != wanted.get(key))
    return [f"{name}[{key}] is {held.get(key)}, not {wanted.get(key)}" for key in wrong]


def too_low(name: str, held: dict[str, float], wanted: dict[str, float]) -> list[str]:
    wrong = sorted(key for key in wanted if held.get(key, 0.0) < wanted[key])
    return [f"{name}[{key}] is {held.get(key)}, below {wanted[key]}" for key in wrong]


def first_differences(found: dict[str, list[Alert]], wanted: dict[str, list[Alert]]) -> list[str]:
    """Of each account the first alert that is not the one that it must be."""
    wrong = []
    for account in sorted(found.keys() | wanted.keys()):
        have, want = found.get(account, []), wanted.get(account, [])
        if have == want:
            continue
        place = next((n for n, (one, other) in enumerate(zip(have, want, strict=False)) if one != other), None)
        place = min(len(have), len(want)) if place is None else place
        wrong.append(
            f"alerts of {account}: {len(have)}, not {len(want)}; from the {place}th on they are "
            f"{have[place : place + SHOWN]}, not {want[place : place + SHOWN]}"
        )
    return wrong


def lost_or_disordered(found: dict[str, list[Alert]], wanted: dict[str, list[Alert]]) -> list[str]:
    """An alert that never came, or that came for the first time after a later one of its account; totals too low."""
    wrong = []
    for account, want in sorted(wanted.items()):
        first: dict[int, float] = {}
        for number, total in found.get(account, []):
            first.setdefault(number, total)
        if lost := [number for number, _ in want if number not in first]:
            wrong.append(f"alerts of {account}: orders {lost[:SHOWN]} have none, {len(lost)} in all")
        if (order := list(first)) != sorted(order):
            at = next(n for n, (one, other) in enumerate(zip(order, sorted(order), strict=True)) if one != other)
            wrong.append(f"alerts of {account} came in another order: {order[at : at + SHOWN]}")
        wrong += [
            f"alert {number} of {account} says {first[number]}, below {total}"
            for number, total in want
            if number in first and first[number] < total
        ][:SHOWN]
    return wrong
