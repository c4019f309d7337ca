"""Branches of a stream."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from streamz_actors.errors import TopologyError
from streamz_actors.operators import routes
from streamz_actors.streams.flow import Flow
from streamz_actors.streams.naming import path

K = TypeVar("K")
V = TypeVar("V")
F = TypeVar("F", bound=Flow[Any, Any])


class Split(Generic[K, V, F]):
    """A split on its way: each record goes to the first branch whose predicate holds."""

    def __init__(self, stream: F) -> None:
        self._stream = stream
        self._branches: dict[str, Callable[..., Any]] = {}

    def branch(self, predicate: Callable[[K, V], object], name: str) -> "Split[K, V, F]":
        self._claim(name)
        self._branches[name] = predicate
        return self

    def default(self, name: str) -> dict[str, F]:
        """The branches by name, with one for the records that no predicate took."""
        self._claim(name)
        return self._streams([*self._branches, name], default=len(self._branches))

    def no_default(self) -> dict[str, F]:
        """The branches by name; records that no predicate took are dropped."""
        return self._streams(list(self._branches), default=routes.NO_BRANCH)

    def _claim(self, name: str) -> None:
        if name in self._branches:
            raise TopologyError(f"two branches of {self._stream.name!r} are named {name!r}")

    def _streams(self, names: list[str], default: int) -> dict[str, F]:
        stream, add = self._stream, self._stream.builder.add
        predicates = list(self._branches.values())
        node = add(routes.split(stream.node, path(stream.name, "split"), predicates, default=default))

        def branch(number: int, name: str) -> F:
            full = path(stream.name, name)
            return stream.same(add(routes.branch(node, full, number)), full)

        return {name: branch(number, name) for number, name in enumerate(names)}
