"""W3 by hand: sums by window and key in dicts, each update out at once; windows that are over are let go."""

import struct
from collections import defaultdict
from typing import Any

from loop import Output, run
from orders import decode

SIZE = 60_000
"""Ms."""
BOUNDS = struct.Struct(">qq")


class Windows:
    """Those of one partition, by their start: the bounds as they stand behind a key, and the sums by key."""

    def __init__(self) -> None:
        self.time = 0
        """The highest timestamp seen."""
        self._open: dict[int, tuple[bytes, dict[bytes, int]]] = {}

    def at(self, start: int) -> tuple[bytes, dict[bytes, int]]:
        if start not in self._open:
            self._open = {begun: window for begun, window in self._open.items() if begun + SIZE > self.time}
            self._open[start] = BOUNDS.pack(start + SIZE, start), {}
        return self._open[start]


partitions: dict[int, Windows] = defaultdict(Windows)


async def handle(records: list[Any], output: Output) -> None:
    windows = partitions[records[0].partition]
    rows = []
    for record in records:
        timestamp = record.timestamp
        windows.time = max(windows.time, timestamp)
        start = timestamp - timestamp % SIZE
        if start + SIZE <= windows.time:
            continue  # too late
        bounds, sums = windows.at(start)
        key = record.key
        total = sums[key] = sums.get(key, 0) + decode(record.value).quantity
        rows.append((key + bounds, b"%d" % total, timestamp))
    await output.send(rows, BOUNDS.size)


if __name__ == "__main__":
    run(handle)
