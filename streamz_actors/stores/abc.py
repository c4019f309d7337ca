"""The store port: where a task's committed state is kept. Two adapters of equal rank, `memory` and `rocksdb`.

A *store* is one table of one partition: byte keys in byte order. A *shelf* holds the stores of one task in one *place*,
which has the task's name, or that and a number behind `@` where several processes of a machine keep copies of a task.
Nothing here is a coroutine: calls are short and hold the loop; `write` is given at most a few thousand keys.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping

from streamz_actors.stores.bound import Bound

Pair = tuple[bytes, bytes | None]
"""A key and its new value; None deletes."""


class Store(ABC):
    bound: Bound
    """How much of the committed state of all stores of its backend is kept for reading."""

    @abstractmethod
    def get(self, key: bytes) -> bytes | None: ...

    @abstractmethod
    def get_many(self, keys: Collection[bytes]) -> list[bytes | None]:
        """As `get`, in the order of `keys`."""

    @abstractmethod
    def scan(
        self, start: bytes | None = None, stop: bytes | None = None, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Pairs with start <= key < stop in byte order (None: unbounded), as they stood when the scan began."""

    @abstractmethod
    def write(self, pairs: Iterable[Pair], offset: int | None = None) -> None:
        """Applies all pairs, later ones over earlier ones, and the covered changelog offset: atomically."""

    def gather(self, pairs: Iterable[Pair], offset: int | None = None) -> None:
        """As `write`, for commits, which come often: it may wait in memory for a moment to go in with others."""
        self.write(pairs, offset)

    @abstractmethod
    def erase(self, start: bytes, stop: bytes) -> None:
        """Forgets all pairs with start <= key < stop, at a cost that does not grow with their number where it can."""

    @property
    @abstractmethod
    def offset(self) -> int | None:
        """The position in the changelog up to which this store holds it; None if it was never written with one."""

    @abstractmethod
    def clear(self) -> None:
        """Forgets all pairs and the offset."""

    @abstractmethod
    def approximate_count(self) -> int: ...


class Shelf(ABC):
    """The stores of one task. Writes of different stores are independent of one another."""

    @property
    @abstractmethod
    def stores(self) -> Mapping[str, Store]: ...

    @abstractmethod
    def flush(self) -> None:
        """Makes what was written durable."""

    @abstractmethod
    def close(self) -> None:
        """Flushes and releases the place. Safe to call twice."""


class Backend(ABC):
    """One per worker: owns the state directory and what all shelves share (block cache, locks)."""

    @abstractmethod
    def open(self, task: str, stores: Mapping[str, str]) -> Shelf:
        """The shelf of `task` with these stores: name → identity.

        The identity says whose data it is (cluster id, topic id, format); a store found with another identity, and one
        of another format version, is emptied and a warning logged. A store found but not named is left alone. Raises
        StoreCorrupted (then `destroy` and open again: it is rebuilt from its changelog) and StoreLocked.
        """

    @abstractmethod
    def peek(self, task: str, store: str, identity: str, keys: Collection[bytes]) -> list[bytes | None] | None:
        """What a store on this machine holds for some keys, in their order, without owning it; None if there is none.

        It was committed once, and may be behind: whoever owns the task, here or in another process, is not disturbed,
        and what is not flushed yet may be missing. A store of another identity, or one that cannot be read now, is
        none. Takes milliseconds; may be called in a thread.
        """

    @abstractmethod
    def places(self, beginning: str = "") -> list[str]:
        """The names of all places with state on this machine, open or not, that begin like this; in order."""

    @abstractmethod
    def held(self, task: str) -> bool:
        """Whether a place is open, here or in another process. Costs microseconds; what it says may change at once."""

    @abstractmethod
    def covered(self, task: str, stores: Mapping[str, str]) -> dict[str, int]:
        """The changelog offset of each of these stores that a place has (name → identity), without owning it.

        As `peek`: what is not readable now is not there, what is not flushed yet is missing. May be called in a thread.
        """

    @abstractmethod
    def destroy(self, task: str) -> None:
        """Removes all local state of a task that is not open. Raises StoreLocked; may be called in a thread."""

    @abstractmethod
    def close(self) -> None: ...
