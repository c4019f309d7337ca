"""What a topic takes: a record that its broker would refuse is found where it is made, and known by its event."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from streamz_actors.errors import EncodeError

LARGEST: Final = 1024 * 1024
"""Bytes of a request, if nothing else is said: what producers and brokers take by default."""
AROUND: Final = 80
"""Bytes of a batch of one record beside its key and value."""

Encode = Callable[[Any], bytes | None]


@dataclass(frozen=True, slots=True)
class Limits:
    """`largest`: bytes of key and value together; None: not known here, for they are compressed before they are sent.
    `keyed`: no record may be without a key.
    """

    largest: int | None = None
    keyed: bool = False

    @classmethod
    def of(cls, config: Mapping[str, str], producer_config: Mapping[str, Any]) -> "Limits":
        """Of a topic with these settings, written by producers with those."""
        keyed = "compact" in config.get("cleanup.policy", "")
        if producer_config.get("compression_type"):
            return cls(None, keyed)
        sizes = (producer_config.get("max_request_size", LARGEST), config.get("max.message.bytes", LARGEST))
        return cls(min(map(int, sizes)) - AROUND, keyed)

    def refused(self, keys: Sequence[bytes | None], values: Sequence[bytes | None]) -> tuple[int, EncodeError] | None:
        """The first row that would be refused, and why."""
        if self.keyed and None in keys:
            return keys.index(None), keyless()
        largest = self.largest
        if largest is None or _size(keys) + _size(values) <= largest:
            return None
        for row, (key, value) in enumerate(zip(keys, values, strict=True)):
            if (size := len(key or b"") + len(value or b"")) > largest:
                return row, too_large(size, largest)
        return None

    def checked(self, encode: Encode) -> Encode:
        """`encode`, refusing what is too large."""
        largest = self.largest
        if largest is None:
            return encode

        def check(value: Any) -> bytes | None:
            raw = encode(value)
            if raw is not None and len(raw) > largest:
                raise too_large(len(raw), largest)
            return raw

        return check


UNLIMITED: Final = Limits()


def keyless() -> EncodeError:
    return EncodeError("the topic is compacted, and takes no record without a key")


def too_large(size: int, largest: int) -> EncodeError:
    return EncodeError(
        f"a record of {size} bytes is larger than the {largest} that may be sent: raise max_request_size in "
        "producer_config and the topic's max.message.bytes, or make it smaller"
    )


def _size(column: Sequence[bytes | None]) -> int:
    try:
        return len(b"".join(column))  # type: ignore[arg-type]  # faster than asking each, and there is mostly no None
    except TypeError:
        return sum(map(len, filter(None, column)))
