"""The coordinator of transactions: who may write under a transactional id, and how what was written ends.

                     records, offsets                  commit, abort, time-out, a newer producer
        READY ──────────────────────────▶ OPEN ───────────────────────────────────────────────────▶ DECIDED
          ▲                                                                                            │
          └──────────── control records in every log, offsets in their groups ─────────────────────────┘

On Kafka some milliseconds lie between a decision and its control records. `marker_delay` makes them as many seconds
here; whatever the same id does next waits for no clock, it has them written first.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

from streamz_actors.clock import Clock, Timer
from streamz_actors.errors import TransportError
from streamz_actors.transport.abc import GroupMember
from streamz_actors.transport.memory.group import Group
from streamz_actors.transport.memory.log import PartitionLog
from streamz_actors.types import TopicPartition


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a producer shows with everything it does: good until a newer producer of its id, or a time-out."""

    transactional_id: str
    producer: int
    epoch: int


@dataclass(slots=True)
class Account:
    """What is known of one transactional id, and what its transaction has touched."""

    producer: int
    epoch: int = -1
    timeout: float = 60.0
    logs: dict[PartitionLog, None] = field(default_factory=dict)
    groups: dict[Group, None] = field(default_factory=dict)
    committed: bool | None = None
    """How its transaction was decided to end; None: it was not decided, or there is none."""
    timer: Timer | None = None
    """Of the time-out of an open transaction, or of the control records of a decided one."""

    @property
    def open(self) -> bool:
        return bool(self.logs or self.groups) and self.committed is None


class Transactions:
    """Everything here raises TransportError for a ticket that is not good any more."""

    def __init__(self, clock: Clock, marker_delay: float = 0.0) -> None:
        self.marker_delay = marker_delay
        self._clock = clock
        self._accounts: dict[str, Account] = {}
        self._numbers = itertools.count(1)

    def begin(self, transactional_id: str, timeout: float) -> Ticket:
        """Aborts what a former producer of this id has open; its ticket is worth nothing from now on."""
        account = self._accounts.get(transactional_id)
        if account is None:
            account = self._accounts[transactional_id] = Account(next(self._numbers))
        self._abort(account)
        account.timeout = timeout
        return Ticket(transactional_id, account.producer, account.epoch)

    def write(self, ticket: Ticket, log: PartitionLog) -> int:
        """Takes a log into the transaction; the number to append under."""
        account = self._account(ticket)
        self._open(account)
        account.logs[log] = None
        return account.producer

    def add_offsets(self, ticket: Ticket, group: Group, offsets: Mapping[TopicPartition, int], by: GroupMember) -> None:
        """Raises CommitError for a member that has no place in the group any more."""
        account = self._account(ticket)
        group.check(by)
        self._open(account)
        account.groups[group] = None
        group.offsets.add(account.producer, offsets)

    def end(self, ticket: Ticket, committed: bool) -> None:
        """Without effect where nothing is open."""
        account = self._account(ticket)
        if account.open:
            self._decide(account, committed)

    def has_open(self, transactional_id: str) -> bool:
        """Whether a transaction of this id was begun and not decided."""
        account = self._accounts.get(transactional_id)
        return account is not None and account.open

    def _account(self, ticket: Ticket) -> Account:
        account = self._accounts[ticket.transactional_id]
        if account.epoch != ticket.epoch:
            raise TransportError(
                f"the producer with transactional id {ticket.transactional_id!r} is fenced: another one was started "
                f"with this id, or its transaction was open for longer than {account.timeout:g} s"
            )
        return account

    def _open(self, account: Account) -> None:
        self._finish(account)
        if account.timer is None:
            account.timer = self._clock.call_later(account.timeout, lambda: self._abort(account))

    def _abort(self, account: Account) -> None:
        account.epoch += 1
        if account.open:
            self._decide(account, False)
        self._finish(account)

    def _decide(self, account: Account, committed: bool) -> None:
        account.committed = committed
        self._stop_timer(account)
        if self.marker_delay:
            account.timer = self._clock.call_later(self.marker_delay, lambda: self._finish(account))
        else:
            self._finish(account)

    def _finish(self, account: Account) -> None:
        """Writes what was decided, if that has not been done."""
        committed, account.committed = account.committed, None
        if committed is None:
            return
        self._stop_timer(account)
        logs, groups = tuple(account.logs), tuple(account.groups)
        account.logs.clear()
        account.groups.clear()
        for group in groups:
            group.offsets.end(account.producer, committed)
        for log in logs:
            log.end_transaction(account.producer, committed, self._clock.now())

    def _stop_timer(self, account: Account) -> None:
        if account.timer is not None:
            account.timer.cancel()
        account.timer = None
