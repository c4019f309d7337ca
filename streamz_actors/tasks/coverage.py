"""What a flush says of itself in the changelogs, and a commit of them: so a restart knows what belongs together.

A flush is what one task writes in one commit, into the changelogs of all its tables. Its first record in each of them
opens it, its last one closes it; between the two there is no header. Opened and not closed, it has come in part only.

    changelog A    · · · ┃ opens  ·  ·  ·  closes ┃ opens  ·  ·
    changelog B    · ┃ opens  · closes ┃                          the second flush has not come here: it is not whole
                                       ▲
                   a commit's note says where the changelogs ended for it

Offsets here are of the task's source topics, at its own partition. A topic of which nothing is committed is missing.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import Headers, TopicPartition

OPENS: Final = "streamz-flush"
CLOSES: Final = "streamz-flushed"

Offsets = dict[str, int]
"""Positions by topic."""

LONGEST: Final = 4_000
"""Characters of a note: brokers take 4,096, unless told to take fewer (`offset.metadata.max.bytes`)."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What one flush covers, as its records say it in one changelog."""

    id: str
    stores: tuple[str, ...]
    """The changelogs that it is in."""
    offsets: Mapping[TopicPartition, int]
    """Below these, all that the task has read is in its state with this flush."""
    since: Mapping[TopicPartition, int]
    """Where its task stood before."""
    rows: int
    """Its records in this changelog."""
    at: int | None = None
    """Where this changelog ended for who wrote it; records that begin elsewhere are of one who did not know of others.
    None: not told.
    """

    def header(self) -> bytes:
        told = {
            "id": self.id,
            "stores": self.stores,
            "since": _by_topic(self.since),
            "offsets": _by_topic(self.offsets),
            "rows": self.rows,
            "at": self.at,
        }
        return json.dumps(told, separators=(",", ":")).encode()


def headers(coverage: Coverage) -> tuple[Headers, Headers]:
    """Those of a flush's first and last record; both for one that is the only one."""
    told = coverage.header()
    return ((OPENS, told),), ((CLOSES, told),)


def openings(raw: RawBatch) -> Iterator[tuple[int, Coverage]]:
    """The flushes that are opened in a run of changelog records, each with its row."""
    return _found(raw, OPENS)


def coverages(raw: RawBatch) -> Iterator[tuple[int, Coverage]]:
    """The flushes that are closed in a run of changelog records, each with its row."""
    return _found(raw, CLOSES)


def _found(raw: RawBatch, name: str) -> Iterator[tuple[int, Coverage]]:
    for row, given in enumerate(raw.headers or ()):
        for key, content in given:
            if key == name and (coverage := _read(content, raw.partition)) is not None:
                yield row, coverage


def _read(content: bytes, partition: int) -> Coverage | None:
    """None for what no release of this format wrote: it counts as a record like any other."""
    try:
        told: dict[str, Any] = json.loads(content)
        return Coverage(
            str(told["id"]),
            tuple(map(str, told["stores"])),
            _at(told["offsets"], partition),
            _at(told["since"], partition),
            int(told["rows"]),
            None if told.get("at") is None else int(told["at"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True, slots=True)
class Note:
    """What is kept with a committed offset: how far the changelogs went with it.

    Up to `ends`, applied in order, they give the state that belongs to the offsets `at`. If the group's offsets are
    others by now, whoever has moved them did not go by the state, and the note says nothing.
    """

    at: Offsets
    ends: Mapping[str, int]
    """By changelog topic."""

    def write(self) -> str:
        """Empty if it is too long to be kept."""
        text = json.dumps({"at": self.at, "ends": dict(self.ends)}, separators=(",", ":"), sort_keys=True)
        return text if len(text) <= LONGEST else ""


def read_note(text: str) -> Note | None:
    """None for what is no note of ours."""
    try:
        told: dict[str, Any] = json.loads(text)
        at = {str(topic): int(offset) for topic, offset in told["at"].items()}
        return Note(at, {str(topic): int(offset) for topic, offset in told["ends"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _by_topic(offsets: Mapping[TopicPartition, int]) -> Offsets:
    return {place.topic: offset for place, offset in offsets.items()}


def _at(offsets: Mapping[str, Any], partition: int) -> dict[TopicPartition, int]:
    return {TopicPartition(str(topic), partition): int(offset) for topic, offset in offsets.items()}
