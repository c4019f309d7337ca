"""A table of which every worker holds all: the latest values of a topic, readable anywhere."""

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn, TypeVar

from streamz_actors.dataflow.context import current
from streamz_actors.dataflow.topology import GlobalSpec, TopologyBuilder
from streamz_actors.errors import UsageError

K = TypeVar("K")
V = TypeVar("V")


class GlobalTable(Mapping[K, V]):
    """Read-only. It is up to date with its topic's end when handlers start, and follows it from then on."""

    def __init__(self, builder: TopologyBuilder, spec: GlobalSpec) -> None:
        self.builder, self.spec, self.name = builder, spec, spec.name

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<GlobalTable {self.name!r}>"

    def __getitem__(self, key: K) -> V:
        value: V | None = self._state().get(key)
        if value is None:
            raise KeyError(key)
        return value

    def __contains__(self, key: object) -> bool:
        return self._state().get(key) is not None

    def __iter__(self) -> Iterator[K]:
        return (key for key, _ in self.range())

    def __len__(self) -> int:
        return sum(1 for _ in self._state().logged.scan())

    def range(self, lo: K | None = None, hi: K | None = None) -> Iterator[tuple[K, V]]:
        """Pairs with lo <= key < hi (None: unbounded), in order."""
        pairs: Iterator[tuple[K, V]] = self._state().items(lo, hi)
        return pairs

    def prefix(self, prefix: K) -> Iterator[tuple[K, V]]:
        """Pairs whose key begins with `prefix`: for keys of text or bytes."""
        for key, value, _ in self._state().prefixed(prefix):
            yield key, value

    async def lookup(self, key: K) -> V | None:
        """As `get`: this worker holds every key."""
        return self.get(key)

    def __setitem__(self, key: K, value: V) -> NoReturn:
        raise self._read_only()

    def __delitem__(self, key: K) -> NoReturn:
        raise self._read_only()

    def _read_only(self) -> UsageError:
        return UsageError(f"global table {self.name!r} is read-only: send to its topic {self.spec.topic.name!r}")

    def _state(self) -> Any:
        context = current.get()
        state = None if context is None else context.states.get(self.name)
        if state is not None:
            return state
        (whole,) = self.builder.link.get(f"global table {self.name!r}").states(self.name).values()
        return whole
