"""How one node looks keys up in what another keeps: the way from a stream's rows to a table's values."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.node import Place, StoreSpec

Read = Callable[[Batch], Awaitable[Column]]
"""What is held for each row, None for nothing."""

ReadDated = Callable[[Batch], Awaitable[tuple[Column, list[int]]]]
"""As Read, with the time of each in ms; that of nothing means nothing."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """`at` builds it in one task. `stores` are those read under the rows' own keys: partitioned like them."""

    at: Callable[[Place], Read]
    stores: tuple[StoreSpec, ...] = ()
    reads_keys: bool = False
    """Whether it looks at decoded keys."""
    asynchronous: bool = False
    dated: Callable[[Place], ReadDated] | None = None
    """As `at`, with times: what a join of two tables needs. None where no table is joined so."""
