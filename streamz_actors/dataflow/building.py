"""An operator as its task builds it: with its guard, and row by row where that is how it goes past one that fails."""

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.guard import Guard
from streamz_actors.dataflow.node import Node, Operator, Place
from streamz_actors.dataflow.policies import Final, last_word
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.errors import StreamzError


def built(node: Node, place: Place, sub: SubTopology) -> Operator:
    """The behaviour of a node of `sub` in one task."""
    operator = node.build(place)
    operator.silent = not sub.children[node]
    operator.olds = node in sub.olds
    operator.guard = Guard(policy_of(node) or last_word(place.on_error), place.give_up)
    if operator.repeatable and not operator.guard.stops:
        return RowByRow(operator, f"{node.kind} {node.name!r}")
    return operator


def policy_of(node: Node) -> Final | None:
    """What is done with a row on which it fails: its own word, else that of the nodes above, if they say one thing."""
    if node.policy is not None or not node.parents:
        return node.policy
    above = [policy_of(parent) for parent in node.parents]
    return above[0] if all(each == above[0] for each in above) else None


class RowByRow(Operator):
    """An operator that takes its rows together, and one by one where that fails: those that fail are given up.

    Functions are called again for the rows before: they are such as only look at what they are given.
    """

    def __init__(self, operator: Operator, what: str) -> None:
        self._operator, self._what = operator, what
        self.silent, self.olds, self.guard = operator.silent, operator.olds, operator.guard

    async def process(self, batch: Batch) -> Batch | None:
        try:
            return await self._operator.process(batch)
        except StreamzError:
            if not len(batch):
                raise
        parts: list[Batch] = []
        for number, row in enumerate(batch.rows()):
            try:
                part = await self._operator.process(row)
            except StreamzError as error:
                self.guard.failed(self._what, batch, number, error)
            else:
                if part is not None and len(part):
                    parts.append(part)
        return Batch.concatenated(parts) if parts else None
