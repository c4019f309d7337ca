"""The table of W4: a row for each account, the same on every machine, in a compacted topic."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from benchmarks.orders import COUNTRIES, START, Dataset, Digest
from benchmarks.settings import KEYS

TOPIC: Final = f"accounts-{KEYS}"
TIERS: Final = ("basic", "silver", "gold", "platinum")


class Account(NamedTuple):
    number: int

    @property
    def tier(self) -> str:
        """What W4 puts beside an order; neighbours differ, and so do accounts of one partition."""
        return TIERS[self.number * 7 // 5 % len(TIERS)]

    @property
    def key(self) -> bytes:
        return b"account-%06d" % self.number

    @property
    def value(self) -> bytes:
        number = self.number
        return b'{"account":"account-%06d","name":"Holder %06d","tier":"%s","country":"%s","since":%d,"limit":%.2f}' % (
            number,
            number,
            self.tier.encode(),
            COUNTRIES[number & 7].encode(),
            1990 + number % 35,
            500 + number % 1_000 * 2.5,
        )

    @property
    def timestamp(self) -> int:
        """Before every order, so that whoever reads by event time has the table first."""
        return START - 1


def accounts() -> Iterator[Account]:
    return map(Account, range(KEYS))


@lru_cache(maxsize=8)
def enriched(dataset: Dataset) -> Digest:
    """What a right contender makes of a dataset: every order, with the tier of its account."""
    tiers = [account.tier for account in accounts()]
    found = Digest()
    for order in dataset.orders():
        found.add(order.key.decode(), order.number, order.cents / 100, tiers[order.account])
    return found
