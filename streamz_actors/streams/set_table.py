"""Tables whose values are sets: the methods of `t[k]` are writes."""

from collections.abc import Callable, Iterable, Iterator, MutableSet
from collections.abc import Set as AbstractSet
from typing import Any, TypeVar

from streamz_actors.streams.stream import Table

K = TypeVar("K")
T = TypeVar("T")


class SetTable(Table[K, MutableSet[T]]):
    """`t[k].add(x)` writes. A missing key has the empty set, and a key whose set becomes empty is deleted."""

    def __getitem__(self, key: K) -> "TableSet[T]":
        def read() -> set[T]:
            return set(self._state().get(key) or ())

        def write(members: set[T]) -> None:
            self[key] = members

        self._state()
        return TableSet(read, write)

    def __setitem__(self, key: K, value: AbstractSet[T] | None) -> None:
        super().__setitem__(key, set(value) if value else None)

    async def lookup(self, key: K) -> MutableSet[T]:
        """The set, from whichever worker owns the key; empty for a missing key."""
        return set(await super().lookup(key) or ())


class TableSet(MutableSet[T]):
    """The set of one key, as it is at each call. Each method that changes it is one write."""

    def __init__(self, read: Callable[[], set[T]], write: Callable[[set[T]], None]) -> None:
        self._read, self._write = read, write

    @classmethod
    def _from_iterable(cls, members: Iterable[Any]) -> set[Any]:
        return set(members)

    def __repr__(self) -> str:
        return repr(self._read())

    def __eq__(self, other: object) -> bool:
        return self._read() == (other._read() if isinstance(other, TableSet) else other)

    def __contains__(self, member: object) -> bool:
        return member in self._read()

    def __iter__(self) -> Iterator[T]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def _change(self, changed: set[T], before: set[T]) -> None:
        if changed != before:
            self._write(changed)

    def add(self, value: T) -> None:
        self.update((value,))

    def discard(self, value: T) -> None:
        self.difference_update((value,))

    def clear(self) -> None:
        self._write(set())

    def update(self, *others: Iterable[T]) -> None:
        before = self._read()
        self._change(before.union(*others), before)

    def difference_update(self, *others: Iterable[Any]) -> None:
        before = self._read()
        self._change(before.difference(*others), before)

    def intersection_update(self, *others: Iterable[Any]) -> None:
        before = self._read()
        self._change(before.intersection(*others), before)

    def symmetric_difference_update(self, other: Iterable[T]) -> None:
        before = self._read()
        self._change(before.symmetric_difference(other), before)

    def __ior__(self, other: AbstractSet[T]) -> "TableSet[T]":  # type: ignore[override,misc]  # members of its own type
        self.update(other)
        return self

    def __isub__(self, other: AbstractSet[Any]) -> "TableSet[T]":
        self.difference_update(other)
        return self

    def __iand__(self, other: AbstractSet[Any]) -> "TableSet[T]":
        self.intersection_update(other)
        return self

    def __ixor__(self, other: AbstractSet[T]) -> "TableSet[T]":  # type: ignore[override,misc]  # members of its own type
        self.symmetric_difference_update(other)
        return self

    def union(self, *others: Iterable[T]) -> set[T]:
        return self._read().union(*others)

    def intersection(self, *others: Iterable[Any]) -> set[T]:
        return self._read().intersection(*others)

    def difference(self, *others: Iterable[Any]) -> set[T]:
        return self._read().difference(*others)

    def issubset(self, other: Iterable[Any]) -> bool:
        return self._read().issubset(other)

    def issuperset(self, other: Iterable[Any]) -> bool:
        return self._read().issuperset(other)
