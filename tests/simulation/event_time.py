"""What windows must hold, by the event times of what went in: a model as plain as it can be. Times are in ms."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Happened(NamedTuple):
    """A record: in which partition, of which key, and when."""

    partition: int
    key: str
    time: int


class Window(NamedTuple):
    key: str
    start: int
    end: int


@dataclass(slots=True)
class Counts:
    closed: dict[Window, int] = field(default_factory=dict)
    kept: dict[Window, int] = field(default_factory=dict)


def tumbling(records: Sequence[Happened], size: int, grace: int, kept: int) -> Counts:
    """Windows take records until the latest time of their partition, that of the record itself included, is their end
    and `grace`; from then on they are closed. Those are kept that have begun less than `kept` before the newest window.
    """
    tops: defaultdict[int, int] = defaultdict(int)
    counts: Counter[tuple[int, Window]] = Counter()
    for partition, key, time in records:
        top = tops[partition] = max(tops[partition], time)
        start = time // size * size
        if start + size + grace > top:
            counts[partition, Window(key, start, start + size)] += 1
    found = Counts()
    for (partition, window), count in counts.items():
        top = tops[partition]
        if window.end + grace <= top:
            found.closed[window] = count
        if window.start + kept > top // size * size:
            found.kept[window] = count
    return found


def sessions(records: Sequence[Happened], gap: int, grace: int) -> dict[Window, int]:
    """Those that are kept at the end: they have ended less than gap and grace before the latest time of their
    partition. No record may be late.
    """
    tops: defaultdict[int, int] = defaultdict(int)
    times: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
    for partition, key, time in records:
        top = tops[partition] = max(tops[partition], time)
        assert time + grace >= top, "a session that is late depends on what came before"
        times[partition, key].append(time)
    found = {}
    for (partition, key), all_times in times.items():
        for run in _runs(sorted(all_times), gap):
            if run[-1] + gap + grace > tops[partition]:
                found[Window(key, run[0], run[-1])] = len(run)
    return found


def _runs(times: Sequence[int], gap: int) -> list[list[int]]:
    """Rising times, parted where more than `gap` lies between two."""
    runs: list[list[int]] = []
    for time in times:
        if runs and time - runs[-1][-1] <= gap:
            runs[-1].append(time)
        else:
            runs.append([time])
    return runs
