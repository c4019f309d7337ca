"""Which keys have a span that closes next: a heap in memory, made from the store when it is first needed.

Each key stands in it once, under the earliest time that is still open: a session that grows on and on is looked at once
in a while, not at each record.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from operator import itemgetter
from typing import Literal

from streamz_actors.stores.spans import Span, SpanStore


class Closing:
    """`by`: the field of a span that says when it closes: 0 for its start, 1 for its mark. Times are in ms."""

    def __init__(self, store: SpanStore, by: Literal[0, 1]) -> None:
        self._store, self._by = store, by
        self._heap: list[tuple[int, bytes]] = []
        self._due: dict[bytes, int] = {}

    def read(self, since: int) -> None:
        """Takes what the store holds from a time on: what is before has closed."""
        by = self._by
        for raw, spans in self._store.every():
            for span in spans:
                if span[by] >= since:
                    self.add(raw, span[by])

    def add(self, raw: bytes, time: int) -> None:
        """A key has a span that closes by a time."""
        due = self._due.get(raw)
        if due is None or time < due:
            self._due[raw] = time
            heappush(self._heap, (time, raw))

    def waits(self, until: int) -> bool:
        """Whether there may be something that closes before a time."""
        return bool(self._heap) and self._heap[0][0] < until

    def close(self, until: int, segments: Iterable[int]) -> list[tuple[bytes, Span]]:
        """The spans that close before a time, by their time, start and key. `segments`: where what is open may be."""
        heap, due, by = self._heap, self._due, self._by
        closed: list[tuple[int, int, bytes, Span]] = []
        places = sorted(segments)
        while heap and heap[0][0] < until:
            time, raw = heappop(heap)
            if due.get(raw) != time:
                continue
            del due[raw]
            for span in self._of(raw, time, places):
                if span[by] >= until:
                    self.add(raw, span[by])
                    break
                closed.append((span[by], span[0], raw, span))
        if len(closed) > 1:
            closed.sort(key=lambda row: row[:3])
        return [(raw, span) for _, _, raw, span in closed]

    def _of(self, raw: bytes, time: int, segments: list[int]) -> Iterator[Span]:
        """The spans of a key from a time on; by their time."""
        store, by = self._store, self._by
        for segment in segments:
            if segment + store.length > time:
                spans = store.at(store.key(segment, raw))
                yield from spans[bisect_left(spans, time, key=itemgetter(by)) :]
