"""Records that are gone: which are lost, and which have been read by the worker that has taken over."""

from collections import Counter
from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from streamz_actors.clock import ManualClock
from streamz_actors.errors import OffsetOutOfRange
from streamz_actors.transport.abc import GroupMember
from streamz_actors.types import TopicPartition
from streamz_actors.worker.lost_records import PAUSE, LostRecords

HERE, THERE = TopicPartition("steps", 0), TopicPartition("steps", 1)


class Clock(ManualClock):
    """Says how long it was slept."""

    slept = 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds


class Group:
    """Its consumer and its admin in one: positions out of range, logs that hold 8 and 9, and what is committed."""

    def __init__(self, positions: Mapping[TopicPartition, int], committed: Mapping[TopicPartition, int | None]) -> None:
        self.member = GroupMember("app", 1, "member", None)
        self._positions, self._committed = positions, committed
        self.sought: dict[TopicPartition, int] = {}

    async def poll(self, timeout: float) -> list[Any]:
        raise OffsetOutOfRange("gone", self._positions)

    def assignment(self) -> frozenset[TopicPartition]:
        return frozenset({HERE, THERE})

    def seek(self, place: TopicPartition, at: int) -> None:
        self.sought[place] = at

    async def committed(self, group: str, places: Collection[TopicPartition]) -> dict[TopicPartition, int | None]:
        assert group == "app"
        return {place: self._committed[place] for place in places}

    async def beginning_offsets(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 8)

    async def end_offsets(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 10)


def lost(group: Any, clock: ManualClock, policy: str) -> LostRecords:
    tasks: Any = SimpleNamespace(skip=lambda there: None)
    return LostRecords(tasks, group, clock, policy)


@pytest.mark.parametrize("policy", ["fail", "earliest", "latest"])
async def test_what_the_group_has_passed_is_not_lost_and_the_worker_waits_to_hear_of_it(policy: str) -> None:
    group: Any = Group({HERE: 3}, {HERE: 9})
    clock = Clock()
    records = lost(group, clock, policy)
    assert await records.poll(group, 1.0) == []
    assert (clock.slept, group.sought, records.skipped) == (PAUSE, {}, Counter())


@pytest.mark.parametrize("committed", [None, 2, 3])
async def test_what_nobody_has_read_is_lost(committed: int | None) -> None:
    group: Any = Group({HERE: 3, THERE: 3}, {HERE: 9, THERE: committed})
    with pytest.raises(OffsetOutOfRange, match="partition 1: 5 records are gone that were not read") as raised:
        await lost(group, Clock(), "fail").poll(group, 1.0)
    assert raised.value.positions == {THERE: 3}


async def test_where_it_goes_on_only_what_is_lost_is_skipped() -> None:
    group: Any = Group({HERE: 3, THERE: 3}, {HERE: 9, THERE: 3})
    records = lost(group, Clock(), "earliest")
    assert await records.poll(group, 1.0) == []
    assert (group.sought, records.skipped) == ({THERE: 8}, Counter({THERE: 5}))
