"""What the headers of a dead letter say: where the record was, and why it is here. All of it is text."""

import traceback
from dataclasses import dataclass
from typing import Final

from streamz_actors.types import Headers, TopicPartition

PREFIX: Final = "streamz-"
NAMES: Final = ("topic", "partition", "offset", "timestamp", "what", "error", "stack", "attempts", "derived")
OURS: Final = frozenset(PREFIX + name for name in NAMES)
ATTEMPTS: Final = PREFIX + "attempts"
LONGEST_STACK: Final = 8_000
"""Characters; of a longer one the end is kept."""


@dataclass(frozen=True, slots=True)
class Why:
    """`what` failed, and on which record. `derived`: the letter holds what had been made of the record by then."""

    place: TopicPartition
    offset: int
    timestamp: int
    what: str
    error: str
    stack: str
    attempts: int
    derived: bool

    @classmethod
    def of(
        cls,
        what: str,
        place: TopicPartition,
        offset: int,
        timestamp: int,
        error: BaseException,
        attempts: int,
        *,
        derived: bool,
    ) -> "Why":
        stack = "".join(traceback.format_exception(error))[-LONGEST_STACK:]
        return cls(place, offset, timestamp, what, f"{type(error).__name__}: {error}", stack, attempts, derived)

    def onto(self, headers: Headers) -> Headers:
        """The record's own headers and these. One that was replayed has had attempts before: they count."""
        fields = {
            "topic": self.place.topic,
            "partition": str(self.place.partition),
            "offset": str(self.offset),
            "timestamp": str(self.timestamp),
            "what": self.what,
            "error": self.error,
            "stack": self.stack,
            "attempts": str(self.attempts + attempts_in(headers)),
        }
        if self.derived:
            fields["derived"] = "1"
        return (*own(headers), *((PREFIX + name, text.encode()) for name, text in fields.items()))


def read(headers: Headers) -> Why | None:
    """What a dead letter says; None for a record that is none."""
    said = {name: value.decode("utf-8", "replace") for name, value in headers if name in OURS}
    try:
        place = TopicPartition(said[PREFIX + "topic"], int(said[PREFIX + "partition"]))
        offset, timestamp = int(said[PREFIX + "offset"]), int(said[PREFIX + "timestamp"])
    except (KeyError, ValueError):
        return None
    what, error, stack = (said.get(PREFIX + name, "") for name in ("what", "error", "stack"))
    return Why(place, offset, timestamp, what, error, stack, attempts_in(headers), PREFIX + "derived" in said)


def own(headers: Headers) -> Headers:
    """Those that the record had itself."""
    return tuple(pair for pair in headers if pair[0] not in OURS)


def attempts_in(headers: Headers) -> int:
    """How often a record was tried before; 0 where its headers do not say."""
    for name, value in headers:
        if name == ATTEMPTS and value.isdigit():
            return int(value)
    return 0
