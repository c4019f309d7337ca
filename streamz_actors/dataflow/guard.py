"""What an operator does with a row on which something of it failed: it raises, or gives the row up and goes on."""

from collections.abc import Callable
from typing import Any, Final, NoReturn

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.policies import Fail
from streamz_actors.dataflow.policies import Final as LastWord
from streamz_actors.errors import EncodeError, HandlerError, StreamzError
from streamz_actors.serde.schema import Schema

GiveUp = Callable[[str, LastWord, Batch, int, BaseException, int], None]
"""Carries out the last word on a row: what failed, the policy, the row, why, and after how many attempts."""


class Guard:
    """Of one operator in one task."""

    __slots__ = ("_give_up", "_last", "failures", "policy", "stops")

    def __init__(self, policy: LastWord, give_up: GiveUp) -> None:
        self.policy, self._give_up = policy, give_up
        self.stops = isinstance(policy, Fail)
        """Whether the first failure ends the task."""
        self.failures = 0
        """How often something has failed."""
        self._last: tuple[Batch, int] | None = None

    def failed(self, what: str, batch: Batch, row: int, error: Exception) -> None:
        """The last word on a row. Returns if the others go on; a row that fails in several windows is given up once.

        Under `Fail` raises HandlerError, or the framework's own error.
        """
        if self.stops:
            _stop(what, batch, row, error)
        self.failures += 1
        last, self._last = self._last, (batch, row)
        if last is not None and last[0] is batch and last[1] == row:
            return
        if isinstance(error, HandlerError):
            self._give_up(error.what, self.policy, batch, row, error.cause, 1)
        else:
            self._give_up(what, self.policy, batch, row, error, 1)


    def keyed(self, what: str, batch: Batch, schema: Schema[Any]) -> tuple[Batch, list[bytes | None]]:
        """The rows whose keys can be written as `schema` does it, and their keys."""
        try:
            return batch, batch.encoded_keys(schema)
        except EncodeError:
            if self.stops:
                raise
        there: list[bool] = []
        raws: list[bytes | None] = []
        for row, key in enumerate(batch.keys):
            try:
                raws.append(schema.encode(key))
                there.append(True)
            except EncodeError as error:
                self.failed(what, batch, row, error)
                there.append(False)
        return batch.select(there), raws


def _stop(what: str, batch: Batch, row: int, error: Exception) -> NoReturn:
    if isinstance(error, EncodeError):
        raise batch.misfit(f"{what}: value", row, error) from error
    if isinstance(error, StreamzError):
        raise error
    raise HandlerError(what, batch.origin, batch.offsets[row], error) from error


def _never(what: str, policy: LastWord, batch: Batch, row: int, error: BaseException, attempts: int) -> None:
    raise error


STRICT: Final = Guard(Fail(), _never)
"""Raises, whatever it is."""
