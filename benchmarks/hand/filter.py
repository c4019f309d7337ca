"""W1 by hand: decode, keep what is above the median, send the bytes on as they came."""

import os
from typing import Any

import msgspec
from loop import Output, run

LIMIT = float(os.environ["BENCH_LIMIT"])


class Order(msgspec.Struct, gc=False):
    id: int
    account: str
    amount: float
    currency: str
    country: str
    product: str
    quantity: int
    express: bool


decode = msgspec.json.Decoder(Order).decode


async def handle(records: list[Any], output: Output) -> None:
    await output.send(
        [(record.key, record.value, record.timestamp) for record in records if decode(record.value).amount > LIMIT]
    )


if __name__ == "__main__":
    run(handle)
