"""One partition of a table at run time: typed keys and values over a logged store."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Context
from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.errors import WrongPartition
from streamz_actors.stores.abc import Store
from streamz_actors.stores.logged import SCALARS, Entry, Held, LoggedStore
from streamz_actors.stores.prefix import after_prefix
from streamz_actors.types import partition_of

_NO_KEY: Final = object()


class State:
    """One table in one task. Keys are the user's; `raw` variants take encoded keys."""

    def __init__(
        self, spec: StoreSpec, store: Store, partition: int, partitions: int, *, followed: bool = False
    ) -> None:
        self.spec, self.partition, self.partitions = spec, partition, partitions
        self.followed = followed
        """Whether somebody follows the changes that handlers make."""
        schema = spec.value_schema
        self.logged = LoggedStore(
            store,
            schema.encode,
            schema.encode_all,
            schema.decode,
            immutable=schema.immutable,
            integers=schema.type in (int, Any),
            floats=schema.type in (float, Any),
        )
        self._encode_key, self._keys_immutable = spec.key_schema.encode, spec.key_schema.immutable
        self._last_key: Any = _NO_KEY
        self._last_raw = b""

    # -- by encoded key: operators

    def entry(self, raw: bytes) -> Entry | None:
        return self.logged.entry(raw)

    def value(self, held: Held | None) -> Any:
        return self.logged.value(held)

    def put_raw(self, raw: bytes, value: Any, timestamp: int) -> None:
        self.logged.put(raw, value, timestamp)

    # -- by key: handlers

    def encode_key(self, key: Any) -> bytes:
        if key is self._last_key:
            return self._last_raw
        raw = self._encode_key(key)
        if raw is None:
            raise KeyError(f"table {self.spec.name!r}: None is no key")
        if self._keys_immutable or type(key) in SCALARS:
            self._last_key, self._last_raw = key, raw
        return raw

    def get(self, key: Any) -> Any:
        """The value, or None."""
        return self.logged.get(self._last_raw if key is self._last_key else self.encode_key(key))

    def timestamped(self, key: Any) -> tuple[Any, int] | None:
        """The value and its time in ms, or None."""
        entry = self.logged.entry(self.encode_key(key))
        return None if entry is None else (self.logged.value(entry), entry.timestamp)

    def write(self, context: Context, key: Any, value: Any) -> None:
        """A handler's write (None deletes): under the current event's time, undone if its event fails."""
        # `t[k] += 1` has just read the key, and found its entry in the overlay: both are taken without a call.
        raw = self._last_raw if key is self._last_key else self.encode_key(key)
        batch, index = context.batch, context.index
        if batch is None:
            timestamp = 0
        else:
            timestamp = batch.timestamps[index]
            raw_keys = batch.raw_keys
            if raw_keys is None or raw_keys[index] != raw:
                self._check_owned(context, key, raw)
        logged = self.logged
        before = logged.overlay.get(raw) or logged.beneath(raw)
        written = logged.put(raw, value, timestamp)
        context.journal.append((self, raw, before, written))

    def _check_owned(self, context: Context, key: Any, raw: bytes) -> None:
        """Raises WrongPartition for a key whose owner, as anybody computes it from the key, is another partition."""
        if self.spec.per_partition or (owner := partition_of(raw, self.partitions)) == self.partition:
            return
        batch, name = context.batch, self.spec.name
        if batch is not None and batch.key_at(context.index) == key:
            raise WrongPartition(
                f"table {name!r}: key {key!r} is the event's key, but the table writes it in the codec "
                f"{self.spec.key_schema.codec!r} and the event in {batch.key_schema.codec!r}, so that they belong to "
                f"different partitions: give table and source one key type (group_by takes key_type=...)"
            )
        raise WrongPartition(
            f"table {name!r}: key {key!r} belongs to partition {owner}, but {context.name} works on partition "
            f"{self.partition}: a table is partitioned like the events that write it. Make "
            f"app.stream(...).group_by(...) the agent's source so that events arrive under this key, or declare the "
            f"table with per_partition=True"
        )

    def undo(self, raw: bytes, before: Held, written: Held) -> None:
        """Takes a write back, unless somebody has written the key since."""
        self.logged.undo(raw, before, written)

    # -- ranges

    def items(self, start: Any = None, stop: Any = None) -> Iterator[tuple[Any, Any]]:
        """Pairs with start <= key < stop, in key order where the key's encoding keeps it, else in byte order."""
        for key, value, _ in self.rows(start, stop):
            yield key, value

    def rows(self, start: Any = None, stop: Any = None) -> Iterator[tuple[Any, Any, int]]:
        """As `items`, with each entry's time in ms."""
        schema = self.spec.key_schema
        if start is None and stop is None:
            yield from self._rows(self.logged.scan())
        elif schema.ordered:
            yield from self._rows(self.logged.scan(schema.encode(start), schema.encode(stop)))
        else:
            inside: list[tuple[Any, Any, int]] = [
                row
                for row in self._rows(self.logged.scan())
                if (start is None or row[0] >= start) and (stop is None or row[0] < stop)
            ]
            yield from sorted(inside, key=lambda row: row[0])

    def prefixed(self, prefix: Any) -> Iterator[tuple[Any, Any, int]]:
        """Rows whose key begins with `prefix`: keys of text or bytes."""
        schema = self.spec.key_schema
        if not isinstance(prefix, str | bytes):
            raise TypeError(f"table {self.spec.name!r}: a prefix is text or bytes, not {type(prefix).__name__}")
        if not schema.ordered:
            return (row for row in self._rows(self.logged.scan()) if row[0].startswith(prefix))
        start = schema.encode(prefix)
        return self._rows(self.logged.scan(start, after_prefix(start or b"")))

    def _rows(self, entries: Iterable[tuple[bytes, Entry]]) -> Iterator[tuple[Any, Any, int]]:
        decode = self.spec.key_schema.decode
        for raw, entry in entries:
            yield decode(raw), self.logged.value(entry), entry.timestamp

    def change(self, raw: bytes, before: Held, written: Held, batch: Batch, index: int) -> Batch:
        """One write as a row for those who follow the table."""
        schema = self.spec
        return Batch(
            batch.origin,
            [batch.offsets[index]],
            [written[2]],
            schema.key_schema,
            schema.value_schema,
            raw_keys=[raw],
            values=[self.logged.value(written)],
            olds=[self.logged.value(before)],
            headers=None if batch.headers is None else [batch.headers[index]],
        )
