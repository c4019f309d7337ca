"""What becomes of an event when the broker has refused something of it, which is known only after it was done."""

from collections import deque
from typing import Final

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.node import Place
from streamz_actors.dataflow.policies import Fail, Policy, last_word
from streamz_actors.errors import ProduceError

REMEMBERED: Final = 1_000
"""Events given up last: one of which several records are refused is given up once."""


class Refusals:
    """Of one agent in one task. What was refused would be so again, so nothing is tried again: of `Retry` its `then`
    decides. The event's table writes and its other yields stay.
    """

    def __init__(self, what: str, policy: Policy, place: Place) -> None:
        self._what, self._policy, self._place = what, last_word(policy), place
        self._given_up: deque[tuple[object, int, int]] = deque(maxlen=REMEMBERED)

    def judge(self, batch: Batch, row: int, error: ProduceError) -> None:
        """Returns if all else goes on. Raises HandlerError under `Fail`, and if any record would be refused by a topic
        that is there.
        """
        event = (batch.origin, batch.offsets[row], row)
        if event in self._given_up:
            return
        self._given_up.append(event)
        lasting = error.lasting and not error.gone
        self._place.give_up(self._what, Fail() if lasting else self._policy, batch, row, error, 1)
