"""W1 by hand: decode, keep what is above the median, send the bytes on as they came."""

import os
from typing import Any

from loop import Output, run
from orders import decode

LIMIT = float(os.environ["BENCH_LIMIT"])


async def handle(records: list[Any], output: Output) -> None:
    await output.send(
        [(record.key, record.value, record.timestamp) for record in records if decode(record.value).amount > LIMIT]
    )


if __name__ == "__main__":
    run(handle)
