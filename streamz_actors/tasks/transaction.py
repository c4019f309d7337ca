"""The commit under exactly-once, in numbered steps: what came in, the state and all that was sent become valid at once.

    1  all tasks stand between two events, in one turn of the loop   (`standing`, until it is so)
    2  hand on what finished events have yielded; take the offsets, then the overlays. What is sent from now on waits in
       the collector, for it belongs to the next transaction; then tasks go on
    3  send the overlays to the changelogs; wait for every send of this transaction, and check each one
    4  commit the transaction, with the offsets in it
    5  the next transaction begins with what waits; apply the overlays to the stores, as after any commit

A crash before 4 leaves a transaction that is aborted by whoever comes next under the same id, or fences it. After 4 the
stores are behind their changelogs, and a restart replays the rest. When 3 or 4 fail, nobody knows which it was: the
producer is dropped with all tasks, and they begin anew where the broker says that the group stands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from streamz_actors.errors import HandlerError
from streamz_actors.tasks.collector import RecordCollector
from streamz_actors.tasks.commit import Flush, Watcher, apply, begin, check, send
from streamz_actors.tasks.task import Task
from streamz_actors.transport.abc import GroupMember, TransactionalProducer
from streamz_actors.types import TopicPartition


@dataclass(frozen=True, slots=True)
class Cut:
    """What one transaction commits, but for what was sent already."""

    offsets: Mapping[TopicPartition, int]
    """Those that have moved; if none have, any one of those that are known. They show that the group still knows us."""
    moved: Mapping[TopicPartition, int]
    flushes: Sequence[Flush]
    member: GroupMember


def standing(tasks: Sequence[Task]) -> bool:
    """Whether a transaction may end now (step 1). Where it can be made so at once, it is. Raises as `Task.step`."""
    if not all(task.stands for task in tasks):
        return False
    for task in tasks:
        task.follow()  # what follows may begin an asynchronous step
    return all(task.stands and not task.broken and not task.frozen for task in tasks)


def has_news(tasks: Sequence[Task], collector: RecordCollector, committed: Mapping[TopicPartition, int]) -> bool:
    """Whether there is anything to commit."""
    if collector.used or not collector.idle or any(task.dirty or task.holds for task in tasks):
        return True
    return any(committed.get(place) != offset for task in tasks for place, offset in task.committable().items())


def cut(
    tasks: Sequence[Task],
    collector: RecordCollector,
    known: Mapping[TopicPartition, int],
    committed: Mapping[TopicPartition, int],
    member: GroupMember,
    watch: Watcher,
) -> Cut:
    """Step 2. `known`: a position of each partition, where it began if nothing of it was committed."""
    watch("stopped")
    for task in tasks:
        task.flush()
    collector.hold()
    offsets: dict[TopicPartition, int] = {}
    for task in tasks:
        offsets |= task.committable()
    moved = {place: offset for place, offset in offsets.items() if committed.get(place) != offset}
    flushes = [flush for task in tasks for flush in begin(task, offsets)]
    watch("taken")
    some = next(((place, offset) for place, offset in {**known, **offsets}.items()), None)
    return Cut(moved or dict([some] if some is not None else ()), moved, flushes, member)


async def finish(taken: Cut, collector: RecordCollector, producer: TransactionalProducer, watch: Watcher) -> None:
    """Steps 3 and 4. Raises TransportError: then it is not known what became of the transaction."""
    for flush in taken.flushes:
        send(flush, collector)
    await collector.drain()
    await check(taken.flushes)
    watch("sent")
    await producer.commit(taken.offsets, taken.member)
    watch("committed")


async def settle(taken: Cut, watch: Watcher) -> None:
    """Step 5."""
    for flush in taken.flushes:
        await apply(flush)
    watch("applied")


def holder(tasks: Sequence[Task], seconds: float) -> HandlerError:
    """Who keeps the transaction from ending, as an error: an event that takes too long."""
    for task in tasks:
        if task.stands:
            continue
        for node, leg in task.legs.by_node.items():
            if leg.stands() and not (task.barrier.legs and leg.pending()):
                continue
            for place, offset in sorted(leg.unfinished().items()):
                return _too_long(f"{node.kind} {node.name!r}", place, offset, seconds)
    late = next(task for task in tasks if not task.stands)
    place, offset = next(iter(sorted(late.positions.items())), (TopicPartition(late.name, -1), -1))
    return _too_long(f"a step of task {late.name}", place, offset, seconds)


def _too_long(what: str, place: TopicPartition, offset: int, seconds: float) -> HandlerError:
    cause = TimeoutError(
        f"not done after {seconds:g} s, and a transaction can't end before it is: under exactly-once handlers, with "
        f"their retries, must be quicker"
    )
    return HandlerError(what, place, offset, cause)
