"""What W4's applications share: the table's topic, its rows, and what becomes of an order."""

import os

from streamz_actors import Record

TABLE = os.environ["BENCH_TABLE"]


class Account(Record, frozen=True):
    account: str
    name: str
    tier: str
    country: str
    since: int
    limit: float


class Enriched(Record, frozen=True):
    id: int
    account: str
    amount: float
    tier: str
