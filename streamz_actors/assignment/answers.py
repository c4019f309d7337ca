"""What each member is told of a plan: all of it, or as much of it as fits into what Kafka keeps of a generation."""

import logging
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from streamz_actors.assignment.model import TaskId
from streamz_actors.assignment.plan import Plan
from streamz_actors.assignment.wire import Host, Member, Own, Ownership, pack, pack_own
from streamz_actors.transport.abc import Offer

logger = logging.getLogger("streamz_actors.assignment")

LARGEST_GENERATION: Final = 600_000
"""Bytes that offers and shares of a generation may have in all before parts of the ownership are left out of shares.

Kafka keeps them, with ids and host names of its own (about 150 bytes a member), in one record of at most 1 MiB. Every
member gets the ownership, some 15 bytes for each of them, 1 to 2 for each task and as much for each copy. With one
standby for each task that fits up to about 100 members with 1,000 tasks. In a larger group the others are not told who
keeps which copies; beyond 150 members with 1,500 tasks, or 60 with 4,000, only the leader is told who has what, and the
others who leads. What a member is to do itself it is always told. 1,000 members with 10,000 tasks, a standby each and
transactions take 620 kB, all in all, and 1,200 members with 12,000 tasks 750 kB: about the end of it.
"""
PEERS: Final = 4
"""How many others remember the transactional id of a member: one of them will still be there when it is gone."""
FENCERS: Final = 2
"""How many are told to fence one that is gone: that one of them does is enough for all."""


def answers(
    me: Member,
    offers: Sequence[Offer],
    members: Mapping[str, Member | None],
    counts: Mapping[str, int],
    outcome: Plan,
    places: int,
) -> dict[str, bytes]:
    """By member id, what is told beside the partitions.

    `me` is the leader, `members` what could be read of the offers, in the order in which hosts are numbered; `counts`
    gives the number of tasks of each sub-topology, `places` that of all partitions.
    """
    tails = {member_id: pack_own(own) for member_id, own in _own(members, outcome).items()}
    taken = 8 * places + sum(len(offer.user_data) + 2 * sum(map(len, offer.topics)) for offer in offers)
    room = LARGEST_GENERATION - taken - sum(map(len, tails.values()))
    everything = _ownership(me.worker, members, counts, outcome)
    whole = others = pack(everything)
    if len(whole) * len(offers) > room:
        others = pack(replace(everything, copies={}))
        logger.info("%d members with %d tasks: only the leader knows all copies", len(offers), len(outcome.owners))
    if len(others) * len(offers) > room:
        others = pack(Ownership(me.worker, (Host(me.worker, me.address),), {}))
        logger.warning("%d members with %d tasks: only the leader knows who has what", len(offers), len(outcome.owners))
    return {
        member_id: (whole if _is(member, me) else others) + tails[member_id] for member_id, member in members.items()
    }


def _is(member: Member | None, me: Member) -> bool:
    return member is not None and (member.worker, member.since) == (me.worker, me.since)


def _ownership(
    leader: str, members: Mapping[str, Member | None], counts: Mapping[str, int], outcome: Plan
) -> Ownership:
    """The map of everything; a member that could not be read has no place in it."""
    known = {member_id: member for member_id, member in members.items() if member is not None}
    numbers = {member_id: number for number, member_id in enumerate(known)}
    keepers: dict[TaskId, tuple[str, ...]] = {}
    for kept in (outcome.standbys, outcome.warmups):
        for task, others in kept.items():
            keepers[task] = tuple(dict.fromkeys((*keepers.get(task, ()), *others)))
    copied = {task.sub for task in keepers}
    return Ownership(
        leader,
        tuple(Host(member.worker, member.address) for member in known.values()),
        {
            sub: tuple(numbers.get(outcome.owners.get(TaskId(sub, partition), ""), -1) for partition in range(count))
            for sub, count in counts.items()
        },
        {
            sub: tuple(
                tuple(numbers[one] for one in keepers.get(TaskId(sub, partition), ()) if one in numbers)
                for partition in range(count)
            )
            for sub, count in counts.items()
            if sub in copied
        },
    )


# -- what each is told of its own


def _own(members: Mapping[str, Member | None], outcome: Plan) -> dict[str, Own]:
    standbys, warmups = _by_member(outcome.standbys), _by_member(outcome.warmups)
    peers, fence = _peers(members), _fence(members, outcome)
    return {
        one: Own(standbys.get(one, {}), warmups.get(one, {}), peers.get(one, ()), fence.get(one, ()))
        for one in members
    }


def _by_member(kept: Mapping[TaskId, tuple[str, ...]]) -> dict[str, dict[str, tuple[int, ...]]]:
    copies: dict[str, dict[str, list[int]]] = {}
    for task in sorted(kept):
        for one in kept[task]:
            copies.setdefault(one, {}).setdefault(task.sub, []).append(task.partition)
    return {one: {sub: tuple(partitions) for sub, partitions in subs.items()} for one, subs in copies.items()}


def _peers(members: Mapping[str, Member | None]) -> dict[str, tuple[str, ...]]:
    """The ids that each is to remember: of those behind it on a ring, on which processes of a machine lie apart."""
    ring = sorted(
        (one for one, member in members.items() if member is not None and member.transactional_id),
        key=lambda one: (zlib.crc32(one.encode()), one),
    )
    ids = [member.transactional_id for one in ring if (member := members[one]) is not None] * 2
    count = min(PEERS, len(ring) - 1)
    return {one: tuple(ids[number + 1 : number + 1 + count]) for number, one in enumerate(ring)}


def _fence(members: Mapping[str, Member | None], outcome: Plan) -> dict[str, tuple[str, ...]]:
    """The ids of those who are gone, each for some of the members that get tasks they did not have."""
    here = [member for member in members.values() if member is not None]
    gone = sorted({one for member in here for one in member.known} - {member.transactional_id for member in here})
    takers = sorted({one for task, one in outcome.owners.items() if gone and _takes(members[one], task)})
    fence: dict[str, tuple[str, ...]] = {}
    for number, dead in enumerate(gone if takers else ()):
        for place in range(min(FENCERS, len(takers))):
            taker = takers[(number + place) % len(takers)]
            fence[taker] = (*fence.get(taker, ()), dead)
    return fence


def _takes(member: Member | None, task: TaskId) -> bool:
    """Whether it is one with transactions that did not run the task before."""
    if member is None or not member.transactional_id:
        return False
    return task.partition not in member.tasks.get(task.sub, ())
