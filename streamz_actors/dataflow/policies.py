"""What happens to a record on which something failed: declared with these values, carried out by agents and tasks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from streamz_actors.errors import ConfigError, TopologyError


@dataclass(frozen=True, slots=True)
class Fail:
    """Stop the worker at this record, with a clear message and an exit code other than 0. The default."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Count it, log it, go on with the next."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Send the record as it came to `topic` (default: `<app id>-dead-letters`), with headers that say why; go on."""

    topic: Any = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Try the event again, `attempts` times after the first, then do as `then` says.

    `backoff` is the pause in seconds before the first retry; each further one waits `factor` times longer, at most
    `max_backoff`. A function of the attempt (1, 2, …) that gives seconds may stand in its place.
    """

    attempts: int = 3
    backoff: float | Callable[[int], float] = 0.1
    then: "Fail | Skip | DeadLetter" = Fail()
    factor: float = 2.0
    max_backoff: float = 60.0

    def __post_init__(self) -> None:
        if not isinstance(self.then, Fail | Skip | DeadLetter):
            raise ConfigError(f"Retry(then={self.then!r}): after the last attempt come Fail(), Skip() or DeadLetter()")
        if self.attempts < 1:
            raise ConfigError(
                f"Retry(attempts={self.attempts}): at least one retry is needed; use Skip() or DeadLetter() for none"
            )

    def pause(self, attempt: int) -> float:
        """Seconds to wait before retry number `attempt`, counted from 1."""
        if callable(self.backoff):
            return self.backoff(attempt)
        return min(self.max_backoff, self.backoff * self.factor ** (attempt - 1))


Final = Fail | Skip | DeadLetter
Policy = Fail | Skip | DeadLetter | Retry

NAMED: Mapping[str, Policy] = {"fail": Fail(), "skip": Skip(), "dead_letter": DeadLetter(), "retry": Retry()}
"""As settings name them."""


def name_of(policy: Any) -> Any:
    """How settings name the kind of a policy; anything else as it is."""
    return next((name for name, each in NAMED.items() if type(each) is type(policy)), policy)


def last_word(policy: Policy) -> Final:
    """What is done with a record for good."""
    return policy.then if isinstance(policy, Retry) else policy


def checked_last(policy: Any, where: str, instead: str) -> Final:
    """A policy of a place where nothing can be tried again. Raises TopologyError; `instead`: why."""
    if isinstance(policy, Retry):
        raise TopologyError(f"{where}: Retry(...) is not for here: {instead}")
    if not isinstance(policy, Fail | Skip | DeadLetter):
        raise TopologyError(f"{where} takes Fail(), Skip() or DeadLetter(), not {policy!r}")
    return policy
