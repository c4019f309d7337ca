"""Who has subscribed to what: pairs of encoded keys, found by the first of them.

    <size> <subject> <subscriber>     the subject's number of bytes, 4, big-endian; then the two keys

So the subscribers of a subject lie together. What is written since the last commits is indexed by subject in memory:
the writes of all other subjects are not looked at.
"""

from struct import Struct
from typing import Final

from streamz_actors.stores.logged import LoggedStore
from streamz_actors.stores.prefix import after_prefix

SIZE: Final = Struct(">I")

PRESENT: Final = b""
"""What is stored under a pair."""


class Subscribers:
    """The store must be its own, of bytes. Nothing is read before the first call: then the store is restored."""

    def __init__(self, logged: LoggedStore) -> None:
        self._logged = logged
        self._young: dict[bytes, set[bytes]] = {}
        self._old: dict[bytes, set[bytes]] = {}
        """Pairs written lately, by prefix. A flush that ends has taken all that was written before it began, and so
        before the end of the one before it: after two of them, a pair is in the store.
        """
        self._flushes = logged.flushes

    def set(self, subject: bytes, subscriber: bytes, wanted: bool, timestamp: int) -> None:
        """Subscribes, or ends a subscription."""
        self._turn()
        prefix = _prefix(subject)
        pair = prefix + subscriber
        self._young.setdefault(prefix, set()).add(pair)
        self._logged.put(pair, PRESENT if wanted else None, timestamp)

    def of(self, subject: bytes) -> list[bytes]:
        """The subscribers, in the order of their bytes."""
        self._turn()
        prefix = _prefix(subject)
        logged, size = self._logged, len(prefix)
        fresh = self._young.get(prefix, set()) | self._old.get(prefix, set())
        stored = logged.store.scan(prefix, after_prefix(prefix))
        pairs = [pair for pair, _ in stored if pair not in fresh]
        pairs += [pair for pair in fresh if logged.get(pair) is not None]
        return [pair[size:] for pair in sorted(pairs)]

    def _turn(self) -> None:
        ended = self._logged.flushes - self._flushes
        if not ended:
            return
        self._flushes += ended
        self._old = self._young if ended == 1 else {}
        self._young = {}


def _prefix(subject: bytes) -> bytes:
    return SIZE.pack(len(subject)) + subject
