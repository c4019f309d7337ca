"""How overlapping windows of one size lie in a store: those of a key that begin in one stretch of time, as one entry.

    <stretch> <key>   8 bytes, big-endian, ms since the epoch; then the key as its codec writes it
    value             slot of the first window and number of slots (4 bytes each); for each slot the length of its value
                      (4 bytes, -1: no window), for each the time of its window's last record (8 bytes); the values

A record is in many windows, which follow one another: it reads and writes one entry, or two, and not one for each of
them. In memory a bundle is a list that whoever folds into it changes in place: a *content* for each slot, then a time
for each.

A content is None (no window), a small `int` or a finite `float` (encoded at the commit), or, of any other value, the
value if it may be kept as an object, with its bytes.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from streamz_actors.stores.logged import LEAST, NEVER, SCALARS, SMALL, LoggedStore
from streamz_actors.stores.segments import START
from streamz_actors.stores.windowed import TOGETHER, AlignedWindows, Row

Bundle = list[Any]

WIDTH: Final = 2
"""How many times the windows of a record a bundle has room for: the wider, the seldomer is a record in two bundles."""

NO_WINDOW: Final = -1

_HEAD: Final = Struct(">II")


class Bundles:
    """Of windows of `size`, one at every multiple of `advance`, in ms, whose values are of the schema `value`."""

    def __init__(self, value: Any, size: int, advance: int) -> None:
        self.value, self.advance = value, advance
        self.slots = WIDTH * -(-size // advance)
        self.length = self.slots * advance
        """Ms from one bundle's stretch to the next one's."""
        self.integers, self.floats = value.type in (int, Any), value.type in (float, Any)
        self._immutable = value.immutable

    def new(self) -> Bundle:
        """Without a window."""
        return [None] * self.slots + [0] * self.slots

    def content(self, value: Any) -> Any:
        """Of a slot. Raises EncodeError for a value that its schema cannot write."""
        kind = type(value)
        if (kind is int and self.integers and LEAST < value < SMALL) or (
            kind is float and self.floats and value - value == 0.0  # finite
        ):
            return value
        if value is None:
            return None
        kept = value if self._immutable or kind in SCALARS else None
        return kept, self.value.encode(value)

    def read(self, content: Any) -> Any:
        """The value of a content; one that can be changed in place is decoded each time."""
        if type(content) is not tuple:
            return content
        value, raw = content
        return self.value.decode(raw) if value is None else value

    def windows(self, stretch: int, bundle: Bundle, start: int, stop: int) -> Iterable[tuple[int, Any, int]]:
        """Start, value and time of those that begin at start <= ms < stop."""
        slots, advance = self.slots, self.advance
        first = max(0, -((stretch - start) // advance))
        last = min(slots, -((stretch - stop) // advance))
        for slot in range(first, last):
            content = bundle[slot]
            if content is not None:
                yield stretch + slot * advance, self.read(content), bundle[slots + slot]

    def pack(self, bundles: Sequence[Bundle]) -> list[bytes | None]:
        """Each as bytes, None if there is no window in it."""
        slots = self.slots
        reaches = [reach(bundle, slots) for bundle in bundles]
        contents = [
            content for bundle, (first, last) in zip(bundles, reaches, strict=True) for content in bundle[first:last]
        ]
        raws = self._encoded(contents)
        lengths = [NO_WINDOW if raw is None else len(raw) for raw in raws]
        packed: list[bytes | None] = []
        at = 0
        for bundle, (first, last) in zip(bundles, reaches, strict=True):
            count = last - first
            if not count:
                packed.append(None)
                continue
            end = at + count
            head = layout(count).pack(first, count, *lengths[at:end], *bundle[slots + first : slots + last])
            packed.append(head + b"".join(filter(None, raws[at:end])))
            at = end
        return packed

    def _encoded(self, contents: list[Any]) -> list[bytes | None]:
        encode_all: Callable[[list[Any]], list[bytes | None]] = self.value.encode_all
        if not any(type(content) is tuple for content in contents):
            return encode_all(contents)
        plain = iter(encode_all([content for content in contents if type(content) is not tuple]))
        return [content[1] if type(content) is tuple else next(plain) for content in contents]

    def unpack(self, packed: bytes) -> Bundle:
        """As it was packed; values stay bytes."""
        slots = self.slots
        first, count = _HEAD.unpack_from(packed)
        form = layout(count)
        _, _, *numbers = form.unpack_from(packed)
        bundle = self.new()
        bundle[slots + first : slots + first + count] = numbers[count:]
        end = form.size
        for slot, length in enumerate(numbers[:count], first):
            if length != NO_WINDOW:
                begin, end = end, end + length
                bundle[slot] = (None, packed[begin:end])
        return bundle


@lru_cache(maxsize=256)
def layout(count: int) -> Struct:
    return Struct(f">II{count}i{count}q")


def reach(bundle: Bundle, slots: int) -> tuple[int, int]:
    """Its first slot with a window, and the one behind the last; 0 and 0 if it has none."""
    if bundle[0] is not None and bundle[slots - 1] is not None:
        return 0, slots
    first = 0
    while bundle[first] is None:
        first += 1
        if first == slots:
            return 0, 0
    last = slots
    while bundle[last - 1] is None:
        last -= 1
    return first, last


class BundledWindows(AlignedWindows):
    """The windows of a key, for those who ask from outside. `retention` is as in `AlignedWindows`."""

    def __init__(self, bundles: Bundles, size: int, retention: int) -> None:
        super().__init__(bundles.value, size, bundles.advance, retention)
        self.bundles = bundles

    def windows(self, logged: LoggedStore, raw: bytes, start: int | None, stop: int | None) -> list[Row]:
        moment = logged.moment
        if moment == NEVER:
            return []
        low = max(self.oldest(moment), 0 if start is None else start)
        high = moment + 1 if stop is None else min(stop, moment + 1)
        bundles, found = self.bundles, []
        stretches = range(low - low % bundles.length, high, bundles.length)
        for first in range(0, len(stretches), TOGETHER):
            part = stretches[first : first + TOGETHER]
            keys = [START.pack(stretch) + raw for stretch in part]
            logged.load(keys)
            for stretch, key in zip(part, keys, strict=True):
                bundle = logged.get(key)
                if bundle is not None:
                    rows = bundles.windows(stretch, bundle, low, high)
                    found += [(begin, begin + self._size, value, time) for begin, value, time in rows]
        return found
