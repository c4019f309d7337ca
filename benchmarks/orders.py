"""The input: orders drawn from a seed, the same on every machine, and the truth about them computed beside."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Literal, NamedTuple
from zlib import crc32

from benchmarks.settings import KEYS, MEDIAN_CENTS

SEED = 20_130_101
CHUNK = 50_000
START = 1_750_000_000_000
"""Event time of the first order, in milliseconds; each further one comes a millisecond later."""

Distribution = Literal["zipf", "uniform"]
COUNTRIES = ("DE", "ES", "FR", "IT", "NL", "PL", "SE", "US")


class Order(NamedTuple):
    number: int
    account: int
    cents: int

    @property
    def key(self) -> bytes:
        return b"account-%06d" % self.account

    @property
    def quantity(self) -> int:
        return 1 + self.number % 9

    @property
    def value(self) -> bytes:
        number, account, cents = self
        return (
            b'{"id":%d,"account":"account-%06d","amount":%.2f,"currency":"EUR","country":"%s","product":"product-%05d",'
            b'"quantity":%d,"express":%s}'
            % (
                number,
                account,
                cents / 100,
                COUNTRIES[number & 7].encode(),
                number % 20_011,
                self.quantity,
                b"true" if number & 1 else b"false",
            )
        )

    @property
    def timestamp(self) -> int:
        return START + self.number


@dataclass(frozen=True, slots=True)
class Dataset:
    """So many orders, and how their accounts are spread. The smaller of two is the beginning of the larger."""

    records: int
    distribution: Distribution = "zipf"

    @property
    def topic(self) -> str:
        return f"orders-{self.distribution}-{self.records}"

    def orders(self) -> Iterator[Order]:
        draw = random.Random(SEED)
        accounts = range(KEYS)
        weights = list(accumulate(1 / (rank + 1) for rank in accounts)) if self.distribution == "zipf" else None
        number = 0
        while number < self.records:
            # Always whole chunks are drawn, so that what is drawn does not depend on how many are wanted.
            drawn = draw.choices(accounts, cum_weights=weights, k=CHUNK)
            cents = [1 + int(draw.random() * 2 * MEDIAN_CENTS) for _ in range(CHUNK)]
            for account, amount in zip(drawn, cents, strict=True):
                if number == self.records:
                    return
                yield Order(number, account, amount)
                number += 1


class Digest:
    """A fingerprint of a set of records that does not depend on their order, nor on how JSON is spaced."""

    __slots__ = ("count", "total")

    def __init__(self) -> None:
        self.count = self.total = 0

    def add(self, *fields: object) -> None:
        """A record, as the fields that are compared."""
        self.count += 1
        self.total += crc32(" ".join(map(str, fields)).encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Digest) and (self.count, self.total) == (other.count, other.total)

    def __hash__(self) -> int:
        return hash((self.count, self.total))

    def __repr__(self) -> str:
        return f"<{self.count} records, digest {self.total}>"


@dataclass(frozen=True, slots=True)
class Truth:
    """What a right contender makes of a dataset."""

    large: Digest
    """The orders above the median."""
    counts: dict[str, int]
    """Orders by account."""


@lru_cache(maxsize=8)
def truth(dataset: Dataset) -> Truth:
    large, counts = Digest(), Counter[int]()
    for order in dataset.orders():
        counts[order.account] += 1
        if order.cents > MEDIAN_CENTS:
            large.add(f"account-{order.account:06}", order.number, order.cents / 100)
    return Truth(large, {f"account-{account:06}": count for account, count in counts.items()})
