"""Tables as mappings: inside a handler the partition at hand, outside of one the partitions of this worker."""

from collections.abc import Callable, ItemsView, Iterator, MutableMapping, ValuesView
from typing import Any, Final, TypeVar, overload

from streamz_actors.dataflow.context import Context, current
from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import NotInHandler, TopologyError, UsageError

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")

_MISSING: Final[Any] = object()


def default_factory(name: str, default: Any) -> Callable[[], Any] | None:
    """What makes the value of a missing key: a callable as it is, or a constant that nobody can change."""
    if default is None or callable(default):
        return default  # type: ignore[no-any-return]  # a callable without arguments, by contract
    if isinstance(default, bool | int | float | str | bytes | tuple | frozenset):
        return lambda: default
    raise TopologyError(
        f"table {name!r}: default={default!r} would be shared by all keys: pass what makes one, such as its type"
    )


class Mapped(MutableMapping[K, V]):
    """`t[k]` of a missing key gives the default, if there is one, and stores nothing. Changing a value in place is not
    a write: `t[k] = v` is. None is no value: writing it deletes.
    """

    def __init__(
        self,
        builder: TopologyBuilder,
        name: str,
        spec: StoreSpec | None,
        *,
        default: Callable[[], V] | None = None,
        sealed: str | None = None,
    ) -> None:
        """`spec` is None for a view without a store; `sealed` says why handlers may not write."""
        self.builder, self.name, self.spec = builder, name, spec
        self._default, self._sealed = default, sealed

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    # -- one key, in a handler

    def __getitem__(self, key: K) -> V:
        context = current.get()
        state = None if context is None else context.states.get(self.name)
        value: V | None = (self._absent(context) if state is None else state).get(key)
        if value is not None:
            return value
        if self._default is None:
            raise KeyError(key)
        return self._default()

    def __setitem__(self, key: K, value: V | None) -> None:
        context = current.get()
        state = None if context is None else context.states.get(self.name)
        if state is None or self._sealed is not None:
            state = self._absent(context)
        state.write(context, key, value)

    def __delitem__(self, key: K) -> None:
        if self._state().get(key) is None:
            raise KeyError(key)
        self[key] = None

    def __contains__(self, key: object) -> bool:
        return self._state().get(key) is not None

    @overload
    def get(self, key: K, /) -> V | None: ...
    @overload
    def get(self, key: K, /, default: V | D) -> V | D: ...
    def get(self, key: K, /, default: Any = None) -> Any:
        """The value, or `default`: not the table's own default."""
        value = self._state().get(key)
        return default if value is None else value

    @overload
    def pop(self, key: K, /) -> V: ...
    @overload
    def pop(self, key: K, /, default: V | D) -> V | D: ...
    def pop(self, key: K, /, default: Any = _MISSING) -> Any:
        value = self._state().get(key)
        if value is not None:
            del self[key]
            return value
        if default is _MISSING:
            raise KeyError(key)
        return default

    def setdefault(self, key: K, default: V | None = None, /) -> V:
        """Stores `default`, or the table's own, where the key is missing."""
        value: V | None = self._state().get(key)
        if value is None:
            value = self[key] if default is None else default
            self[key] = value
        return value

    def clear(self) -> None:
        for key in list(self):
            del self[key]

    # -- many keys, in a handler or outside

    def __iter__(self) -> Iterator[K]:
        for key, _ in self.range():
            yield key

    def __len__(self) -> int:
        return sum(1 for state in self._partitions() for _ in state.logged.scan())

    def items(self) -> ItemsView[K, V]:
        return _Items(self)

    def values(self) -> ValuesView[V]:
        return _Values(self)

    def range(self, lo: K | None = None, hi: K | None = None) -> Iterator[tuple[K, V]]:
        """Pairs with lo <= key < hi (None: unbounded), in order within a partition."""
        for state in self._partitions():
            yield from state.items(lo, hi)

    def prefix(self, prefix: K) -> Iterator[tuple[K, V]]:
        """Pairs whose key begins with `prefix`: for keys of text or bytes."""
        for state in self._partitions():
            for key, value, _ in state.prefixed(prefix):
                yield key, value

    # -- from anywhere

    async def lookup(self, key: K) -> V | None:
        """The value, from whichever worker owns the key; a missing key gives the table's default, else None."""
        value: V | None = await self.builder.link.get(f"table {self.name!r}").lookup(self.name, key)
        return self._default() if value is None and self._default is not None else value

    # -- where its state is

    def _state(self) -> Any:
        context = current.get()
        state = None if context is None else context.states.get(self.name)
        return self._absent(context) if state is None else state

    def _partitions(self) -> list[Any]:
        if current.get() is not None:
            return [self._state()]
        if self.spec is None:
            raise self._storeless()
        states = self.builder.link.get(f"table {self.name!r}").states(self.name)
        return [states[partition] for partition in sorted(states)]

    def _absent(self, context: Context | None) -> Any:
        """Says why there is no state to read or write here."""
        if context is None:
            raise NotInHandler(
                f"table {self.name!r}: a key can be read and written only in a handler, which works on its partition; "
                f"elsewhere use `await table.lookup(key)`, or send an agent what is to be written"
            )
        if self.spec is None:
            raise self._storeless()
        if self._sealed is not None and self.name in context.states:
            raise UsageError(f"table {self.name!r} cannot be written by handlers: {self._sealed}")
        raise UsageError(
            f"{context.name} uses table {self.name!r}, which is not a part of its task: name it, "
            f"@app.agent(..., tables=[...]), with all other tables that the body uses"
        )

    def _storeless(self) -> UsageError:
        return UsageError(f"table {self.name!r} is a view without a store: pass name= where it is declared to keep it")


class _Items(ItemsView[K, V]):
    """Reads keys and values together."""

    _mapping: Mapped[K, V]

    def __iter__(self) -> Iterator[tuple[K, V]]:
        return self._mapping.range()


class _Values(ValuesView[V]):
    _mapping: Mapped[Any, V]

    def __iter__(self) -> Iterator[V]:
        for _, value in self._mapping.range():
            yield value

    def __contains__(self, value: object) -> bool:
        return any(value == held for held in self)
