"""What several operators of one task keep together beside a store, in memory."""

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

from streamz_actors.stores.logged import LoggedStore

T = TypeVar("T")


class Shared(Generic[T]):
    """One object for each store, made when the first asks for it; it ends with the last of those who hold it."""

    def __init__(self, make: Callable[[LoggedStore], T]) -> None:
        self._make = make
        self._made: WeakValueDictionary[LoggedStore, T] = WeakValueDictionary()

    def of(self, logged: LoggedStore) -> T:
        made = self._made.get(logged)
        if made is None:
            made = self._made[logged] = self._make(logged)
        return made
