"""What is deleted from internal topics, when, and what follows where a broker does not do it."""

import asyncio
from collections.abc import Collection, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from streamz_actors.concurrency import Background
from streamz_actors.errors import BrokerUnavailable
from streamz_actors.types import TopicPartition
from streamz_actors.worker import purge
from streamz_actors.worker.purge import Purge

RETENTION = 8_000
STEP = RETENTION // purge.PARTS


class Admin:
    """Its logs have a record each ms; it says what it was asked for. Not `up`: it fails."""

    def __init__(self) -> None:
        self.up = True
        self.asked: list[tuple[int, set[TopicPartition]]] = []
        self.deleted: list[dict[TopicPartition, int]] = []

    async def offsets_at(self, places: Collection[TopicPartition], timestamp: int) -> dict[TopicPartition, int]:
        self.asked.append((timestamp, set(places)))
        return dict.fromkeys(places, timestamp)

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> None:
        if not self.up:
            raise BrokerUnavailable("down")
        self.deleted.append(dict(before))


class Site:
    def __init__(self) -> None:
        self.admin = Admin()
        self.errors: list[BaseException] = []
        admin: Any = self.admin
        self.purge = Purge(admin, Background(self.errors.append))
        self.tasks: list[Any] = []

    def task(self, partition: int, erased: int, end: int | None = 10**6, retention: int | None = RETENTION) -> Any:
        store = SimpleNamespace(offset=end)
        spec = SimpleNamespace(retention=retention, changelog=SimpleNamespace(name="log"), source=False)
        state = SimpleNamespace(
            spec=spec, partition=partition, logged=SimpleNamespace(erased=erased, store=store)
        )
        task = SimpleNamespace(own={"t": state}, sub=SimpleNamespace(nodes=[]), partitions=frozenset())
        self.tasks.append(task)
        return state

    async def commit(self, times: int = 1) -> None:
        for _ in range(times):
            self.purge.after(self.tasks, {})
        for _ in range(5):
            await asyncio.sleep(0)
        assert not self.errors


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(purge, "EVERY", 1)
    return Site()


def place(partition: int) -> TopicPartition:
    return TopicPartition("log", partition)


async def test_partitions_of_one_time_are_asked_for_together_and_times_are_rounded_down(site: Site) -> None:
    site.task(0, 5 * STEP + 10)
    site.task(1, 5 * STEP + 700)
    site.task(2, 7 * STEP)
    await site.commit()
    assert site.admin.asked == [(5 * STEP, {place(0), place(1)}), (6 * STEP, {place(2)})]
    assert site.admin.deleted == [{place(0): 5 * STEP, place(1): 5 * STEP}, {place(2): 6 * STEP}]


async def test_a_broker_is_asked_again_when_time_has_gone_on_by_a_step(site: Site) -> None:
    state = site.task(0, 5 * STEP + 10)
    await site.commit(3)
    state.logged.erased += STEP - 20
    await site.commit(3)
    assert len(site.admin.asked) == 1
    state.logged.erased += 20
    await site.commit(3)
    assert [time for time, _ in site.admin.asked] == [5 * STEP, 6 * STEP]


async def test_nothing_goes_that_stands_behind_what_is_committed(site: Site) -> None:
    site.task(0, 5 * STEP + 10, end=17)
    await site.commit()
    assert site.admin.deleted == [{place(0): 17}]


@pytest.mark.parametrize(
    "state", [{"erased": 0}, {"erased": 10**6, "retention": None}, {"erased": 10**6, "end": None}, {"erased": STEP}]
)
async def test_a_store_that_has_erased_nothing_or_never_does_is_left_alone(site: Site, state: Any) -> None:
    site.task(0, **state)
    await site.commit()
    assert site.admin.asked == []


async def test_what_a_broker_could_not_delete_is_tried_again(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.task(0, 5 * STEP + 10)
    site.admin.up = False
    await site.commit()
    assert "were not deleted, the next commits try again: down" in caplog.text
    site.admin.up = True
    await site.commit()
    assert site.admin.deleted == [{place(0): 5 * STEP}]
