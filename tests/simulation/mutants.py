"""Mistakes that are planted into our own code, to see that the simulation finds them: each by its name, for a while."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from streamz_actors.errors import CommitError
from streamz_actors.stores.logged import FIRST, TIME
from streamz_actors.tables.mapping import State
from streamz_actors.tasks import barrier, restore
from streamz_actors.tasks import commit as steps
from streamz_actors.tasks.barrier import Barrier
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.tasks.commit import CommitOffsets, Watcher, commit
from streamz_actors.tasks.ledger import Ledger
from streamz_actors.tasks.restore import apply
from streamz_actors.tasks.task import Task
from streamz_actors.tasks.transaction import Cut, finish
from streamz_actors.testing.clients import SimulatedTransactions, SimulatedTransport
from streamz_actors.testing.member import SimulatedConsumer
from streamz_actors.transport.abc import GroupMember, Reader
from streamz_actors.transport.memory.consumer import MemoryConsumer
from streamz_actors.transport.memory.group import Group
from streamz_actors.types import TopicPartition
from streamz_actors.worker import at_least_once, exactly_once, purge
from streamz_actors.worker.assigned import AssignedTasks
from streamz_actors.worker.exactly_once import ExactlyOnce
from streamz_actors.worker.members import Membership
from streamz_actors.worker.worker import Worker

ALO, EOS = "at_least_once", "exactly_once"


@dataclass(frozen=True, slots=True)
class Mutant:
    """`guarantee`: under which it shows. `replaced`: what stands in place of what, as (owner, name, replacement)."""

    name: str
    guarantee: str
    replaced: Sequence[tuple[Any, str, Any]]

    @contextmanager
    def planted(self) -> Iterator[None]:
        with ExitStack() as stack:
            for owner, name, value in self.replaced:
                stack.enter_context(mock.patch.object(owner, name, value))
            yield


def none(*arguments: Any, **options: Any) -> None:
    """Does nothing."""


async def nothing(*arguments: Any, **options: Any) -> None:
    """Does nothing, when it is awaited."""


# -- the commit, at least once

async def offsets_first(
    tasks: Sequence[Task],
    collector: RecordCollector,
    committed: Mapping[TopicPartition, int],
    commit_offsets: CommitOffsets,
    ledger: Ledger,
    watch: Watcher,
) -> dict[TopicPartition, int]:
    """They are, and then all the rest is done."""
    offsets = {place: at for task in tasks for place, at in task.committable().items()}
    if offsets:
        await commit_offsets(offsets, {})
    return await commit(tasks, collector, committed, commit_offsets, ledger, watch)


async def changelogs_last(
    tasks: Sequence[Task],
    collector: RecordCollector,
    committed: Mapping[TopicPartition, int],
    commit_offsets: CommitOffsets,
    ledger: Ledger,
    watch: Watcher,
) -> dict[TopicPartition, int]:
    """The steps but for their order."""
    for task in tasks:
        task.flush()
    offsets = {place: at for task in tasks for place, at in task.committable().items()}
    flushes = [flush for task in tasks for flush in steps.begin(task, offsets)]
    await collector.drain()
    if offsets:
        await commit_offsets(offsets, {})
    watch("committed")
    for flush in flushes:
        steps.send(flush, collector)
    await steps.check(flushes)
    for flush in flushes:
        await steps.apply(flush)
    return {**committed, **offsets}


def everything_stepped(self: Task) -> dict[TopicPartition, int]:
    """What handlers have in hand counts as done."""
    return dict(self.positions)


# -- the commit, exactly once

end = SimulatedTransactions.commit


async def stores_first(
    taken: Cut, collector: RecordCollector, producer: Any, watch: Watcher
) -> None:
    """The overlays are applied before the transaction has ended."""
    for flush in taken.flushes:
        steps.send(flush, collector)
    await collector.drain()
    await steps.check(taken.flushes)
    for flush in taken.flushes:
        await steps.apply(flush)
    await producer.commit(taken.offsets, taken.member)
    watch("committed")


async def unknown_is_committed(*arguments: Any) -> None:
    """The answer to a commit is not looked at."""
    try:
        await finish(*arguments)
    except CommitError:
        return


end_transaction = ExactlyOnce._commit


async def purged_first(self: ExactlyOnce, *, hurried: bool) -> None:
    """What a commit is going to erase goes from the changelogs before it has ended."""
    self.parts.purge.after(self._tasks(), self.parts.assigned.committed)
    await end_transaction(self, hurried=hurried)


async def without_offsets(
    self: SimulatedTransactions, offsets: Mapping[TopicPartition, int], member: GroupMember
) -> None:
    """What came in is no part of the transaction."""
    await end(self, {}, member)


# -- reading

make_reader = SimulatedTransport.reader
make_consumer = SimulatedConsumer.__init__


def reads_everything(self: SimulatedTransport, *, read_committed: bool = False) -> Reader:
    """Aborted records and those of open transactions as well."""
    return make_reader(self, read_committed=False)


def consumes_everything(self: SimulatedConsumer, broker: Any, settings: Any, *more: Any) -> None:
    """Aborted records and those of open transactions as well."""
    make_consumer(self, broker, replace(settings, read_committed=False), *more)


async def not_stable(self: MemoryConsumer, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int | None]:
    """Open transactions are not waited for."""
    return self._broker.committed(self._settings.group, partitions)


async def without_the_last(store: Any, raw: Any, end: int | None, pause: Any) -> None:
    """The last record below the end is left out."""
    await apply(store, raw, raw.next_offset - 1 if end is None else end - 1, pause)


# -- purging

def all_but_the_newest(state: State) -> int:
    """What is older than the stream time goes, of windows that are open as well."""
    return max(0, state.logged.moment)


def not_erased_yet(state: State) -> int:
    """What the next commit erases."""
    expired = state.logged._expired
    return 0 if expired == FIRST else int(TIME.unpack(expired)[0]) - purge.SLACK


# -- rebalances

told = Membership.told


def never_lost(self: Membership, *arguments: Any) -> None:
    """Generations that were missed are no matter."""
    told(self, *arguments)
    self.lost = False


MUTANTS = (
    Mutant("offsets are committed first", ALO, [(at_least_once, "commit", offsets_first)]),
    Mutant("changelogs are written after the offsets", ALO, [(at_least_once, "commit", changelogs_last)]),
    Mutant("sends are not waited for", ALO, [(RecordCollector, "drain", nothing)]),
    Mutant("events in hand count as done", ALO, [(Task, "committable", everything_stepped)]),
    Mutant("flushes are not marked", ALO, [(Ledger, "mark", lambda *arguments: {})]),
    Mutant("a restore leaves out the last record", ALO, [(restore, "apply", without_the_last)]),
    Mutant("what stands behind state is not waited for", ALO, [(Barrier, "clear", property(lambda self: True))]),
    Mutant("windows are purged while they are open", ALO, [(purge, "oldest", all_but_the_newest)]),
    Mutant("zombies are neither fenced nor refused", EOS, [(Group, "check", none), (ExactlyOnce, "fence", nothing)]),
    Mutant(
        "stores are written before the transaction ends",
        EOS,
        [(exactly_once, "finish", stores_first), (exactly_once, "settle", nothing)],
    ),
    Mutant("an unknown outcome counts as committed", EOS, [(exactly_once, "finish", unknown_is_committed)]),
    Mutant("transactions have no offsets", EOS, [(SimulatedTransactions, "commit", without_offsets)]),
    Mutant("offsets are read that are not stable", EOS, [(MemoryConsumer, "committed", not_stable)]),
    Mutant("aborted records are consumed", EOS, [(SimulatedConsumer, "__init__", consumes_everything)]),
    Mutant("aborted records are restored", EOS, [(SimulatedTransport, "reader", reads_everything)]),
    Mutant("a transaction ends in the middle of events", EOS, [(barrier, "ends_anywhere", lambda *arguments: True)]),
    Mutant("what is sent after the cut is in the transaction", EOS, [(RecordCollector, "hold", none)]),
    Mutant("tasks outlive a transaction that is given up", EOS, [(AssignedTasks, "drop_all", none)]),
    Mutant(
        "a lost place is overlooked, and nobody is fenced",
        EOS,
        [(Membership, "told", never_lost), (ExactlyOnce, "fence", nothing)],
    ),
    Mutant(
        "tasks are revoked without a commit",
        EOS,
        [(ExactlyOnce, "pause", nothing), (ExactlyOnce, "hand_over", nothing)],
    ),
    Mutant(
        "windows are purged before a commit erases them",
        EOS,
        [(ExactlyOnce, "_commit", purged_first), (purge, "oldest", not_erased_yet)],
    ),
    Mutant("kept tasks read on where the group stands", EOS, [(Worker, "_fetched", lambda self: {})]),
)
