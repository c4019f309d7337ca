"""Entries of windows that overlap: those of a key that begin in one stretch of time lie together.

A record's windows follow one another. So it takes a *part* of one bundle, or of two, and its windows are folded where
they stand. How a bundle lies in the store: `stores.bundles`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from streamz_actors.aggregation.closing import Closed
from streamz_actors.aggregation.entries import Entries, Results
from streamz_actors.aggregation.folding import Folding
from streamz_actors.aggregation.lines import Lines
from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.guard import Guard
from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.stores.bundles import BundledWindows, Bundles
from streamz_actors.stores.logged import LEAST, SMALL, LoggedStore
from streamz_actors.stores.segments import START, key_of, time_of


class Part(NamedTuple):
    """The slots first <= slot < last of the bundle of a stretch, and what the keys of that stretch begin with."""

    stretch: int
    head: bytes
    first: int
    last: int


Parts = Sequence[Part]


class Plans(dict[tuple[int, int], Parts]):
    """The parts in which windows lie, given the first one's start and how many there are."""

    def __init__(self, bundles: Bundles) -> None:
        super().__init__()
        self._length, self._advance = bundles.length, bundles.advance

    def __missing__(self, span: tuple[int, int]) -> Parts:
        first, count = span
        length, advance = self._length, self._advance
        end = first + count * advance
        parts = []
        for stretch in range(first - first % length, end, length):
            low, high = max(first, stretch), min(end, stretch + length)
            parts.append(Part(stretch, START.pack(stretch), (low - stretch) // advance, (high - stretch) // advance))
        self[span] = found = tuple(parts)
        return found

    def of(self, lines: Lines) -> list[Parts]:
        """By row."""
        self.clear()
        return list(map(self.__getitem__, zip(lines.firsts, lines.each, strict=True)))


class BundledEntries(Entries):
    def __init__(self, logged: LoggedStore, spec: StoreSpec, folding: Folding, bundles: Bundles) -> None:
        super().__init__(logged, spec, folding, bundles.length)
        self._bundles, self._plans = bundles, Plans(bundles)

    def keys(self, lines: Lines, raws: list[bytes]) -> list[bytes]:
        plans = self._plans.of(lines)
        return [head + raw for raw, parts in zip(lines.picked(raws), plans, strict=True) for _, head, _, _ in parts]

    def beginnings(self, lines: Lines) -> list[int]:
        return [part.stretch for parts in self._plans.of(lines) for part in parts]

    def opened(self, rows: list[Closed], since: int, until: int) -> list[Closed]:
        pack, windows = START.pack, self._bundles.windows
        return [
            Closed(pack(start) + key_of(row.key), value, time)
            for row in rows
            for start, value, time in windows(time_of(row.key), row.value, since, until)
        ]

    async def fold(self, guard: Guard, batch: Batch, lines: Lines, raws: list[bytes], olds: bool) -> Results:
        folding, logged, bundles = self._folding, self.logged, self._bundles
        initializer, step, asynchronous, counting = (
            folding.initializer, folding.step, folding.asynchronous, folding.counting
        )
        overlay, find = logged.overlay, self.find(lines, raws)
        read, content_of, integers, slots = bundles.read, bundles.content, bundles.integers, bundles.slots
        news: Column = []
        latest: list[int] = []
        before_each: Column = []
        gone: list[int] = []
        times = lines.picked(batch.timestamps)
        values = times if counting else lines.picked(batch.values)
        keys = lines.picked(batch.keys) if folding.reads_keys else values
        where = iter(raws)
        for parts, key, value, time in zip(self._plans.of(lines), keys, values, times, strict=True):
            for _, _, first, last in parts:
                raw = next(where)
                bundle, _, newest = overlay.get(raw) or find(raw)
                if bundle is None:
                    bundle = bundles.new()
                for slot in range(first, last):
                    held = bundle[slot]
                    old = read(held) if type(held) is tuple else held
                    at = time if old is None or time > bundle[slots + slot] else bundle[slots + slot]
                    if olds:
                        # Read on its own: the aggregator may change what it is given.
                        before_each.append(read(held))
                    try:
                        if counting:
                            new: Any = 1 if old is None else old + 1
                        elif old is None and initializer is None:
                            new = value
                        else:
                            new = step(key, value, initializer() if old is None and initializer is not None else old)
                            if asynchronous:
                                new = await new
                        # What cannot be written changes nothing.
                        bundle[slot] = new if integers and type(new) is int and LEAST < new < SMALL else content_of(new)
                        bundle[slots + slot] = at
                    except Exception as error:
                        guard.failed(folding.what, batch, lines.row(len(news)), error)
                        gone.append(len(news))
                        new = None
                    news.append(new)
                    latest.append(at)
                overlay[raw] = (bundle, None, max(time, newest))
        return Results(news, latest, before_each, gone)


def entries_of(logged: LoggedStore, spec: StoreSpec, folding: Folding, advance: int) -> Entries:
    """As they lie in the store of that spec; `advance`: ms from one window's start to the next one's."""
    layout = spec.layout
    if isinstance(layout, BundledWindows):
        return BundledEntries(logged, spec, folding, layout.bundles)
    return Entries(logged, spec, folding, advance)
