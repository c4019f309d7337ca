"""Ways that meet and part: merge, split and its branches, and the entry of changes that handlers make to a table."""

from collections.abc import Callable, Sequence
from typing import Any

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.calls import Call, over_columns
from streamz_actors.dataflow.node import Node, Operator, StoreSpec, is_async
from streamz_actors.dataflow.policies import Final

NO_BRANCH = -1


class Pass(Operator):
    """Gives on what it gets."""

    async def process(self, batch: Batch) -> Batch:
        return batch


def merge(parents: tuple[Node, ...], name: str) -> Node:
    return Node(name, "merge", lambda _: Pass(), parents, reads_keys=False, reads_values=False)


def changes(spec: StoreSpec) -> Node:
    """Where a task lets in the changes of a table that no operator makes."""
    return Node(spec.name, "changes", lambda _: Pass(), stores=(spec,), reads_keys=False, reads_values=False)


def split(parent: Node, name: str, predicates: Sequence[Callable[..., Any]], *, default: int = NO_BRANCH) -> Node:
    """Marks each row with the first predicate of (key, value) that holds, else with `default`."""
    calls = [over_columns(predicate, f"split {name!r}") for predicate in predicates]
    return Node(
        name, "split", lambda _: Split(calls, default), (parent,), asynchronous=any(map(is_async, predicates))
    )


class Split(Operator):
    repeatable = True

    def __init__(self, calls: Sequence[Call], default: int) -> None:
        self._calls, self._default = calls, default

    async def process(self, batch: Batch) -> Batch:
        branches = [self._default] * len(batch)
        open_rows = list(range(len(batch)))
        rest = batch
        for number, call in enumerate(self._calls):
            mask = await call(rest, rest.keys, rest.values)
            for row, taken in zip(open_rows, mask, strict=True):
                if taken:
                    branches[row] = number
            open_rows = [row for row, taken in zip(open_rows, mask, strict=True) if not taken]
            if not open_rows:
                break
            rest = batch.take(open_rows)
        return batch.marked(branches)


def policy(parent: Node, name: str, final: Final) -> Node:
    """Says what is done below with rows on which something fails."""
    return Node(name, "on_error", lambda _: Pass(), (parent,), reads_keys=False, reads_values=False, policy=final)


def branch(parent: Node, name: str, number: int) -> Node:
    """The rows of one branch of a split."""
    return Node(name, "branch", lambda _: Branch(number), (parent,), reads_keys=False, reads_values=False)


class Branch(Operator):
    def __init__(self, number: int) -> None:
        self._number = number

    async def process(self, batch: Batch) -> Batch | None:
        number = self._number
        mask = [taken == number for taken in batch.branches or ()]
        return batch.select(mask) if any(mask) else None
