"""W4 by hand: a dict of the accounts, filled first; decode an order, look up its account, encode what comes of both."""

import os
from typing import Any

import msgspec
from loop import Output, run
from orders import decode
from table import load


class Account(msgspec.Struct, gc=False):
    account: str
    name: str
    tier: str
    country: str
    since: int
    limit: float


class Enriched(msgspec.Struct, gc=False):
    id: int
    account: str
    amount: float
    tier: str


encode = msgspec.json.Encoder().encode
accounts: dict[bytes, Account] = {}


async def prepare() -> None:
    accounts.update(await load(os.environ["BENCH_TABLE"], msgspec.json.Decoder(Account).decode))


async def handle(records: list[Any], output: Output) -> None:
    rows = []
    for record in records:
        order = decode(record.value)
        enriched = Enriched(order.id, order.account, order.amount, accounts[record.key].tier)
        rows.append((record.key, encode(enriched), record.timestamp))
    await output.send(rows)


if __name__ == "__main__":
    run(handle, prepare=prepare)
