"""W2 by hand: counts by key in a dict; what has changed goes to the changelog before each commit."""

from typing import Any

from loop import Output, run

counts: dict[bytes, int] = {}
changed: dict[bytes, tuple[int, int]] = {}
"""Count and timestamp of each key counted since the last commit."""


async def handle(records: list[Any], output: Output) -> None:
    for record in records:
        key = record.key
        count = counts[key] = counts.get(key, 0) + 1
        changed[key] = count, record.timestamp


async def flush(output: Output) -> None:
    rows = [(key, b"%d" % count, timestamp) for key, (count, timestamp) in changed.items()]
    changed.clear()
    await output.send(rows)


if __name__ == "__main__":
    run(handle, flush)
