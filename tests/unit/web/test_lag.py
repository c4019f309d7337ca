"""How far behind: what the broker says, how often it is asked, and what when it does not answer."""

from collections.abc import Collection
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.errors import BrokerUnavailable
from streamz_actors.testing import TestDriver
from streamz_actors.types import TopicPartition
from streamz_actors.web.lag import FRESH, Lag
from streamz_actors.worker.worker import Worker


class Ends:
    """Stands between the lag and the broker: counts the questions, and may refuse."""

    def __init__(self, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked, self.down = 0, False
        self._real = worker.transport.admin.end_offsets
        monkeypatch.setattr(worker.transport.admin, "end_offsets", self.end_offsets)

    async def end_offsets(self, places: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        self.asked += 1
        if self.down:
            raise BrokerUnavailable("no connection")
        return await self._real(places)


def shop(**settings: Any) -> App:
    app = App("shop", topic_partitions=2, **settings)
    orders = app.topic("orders", value_type=int)

    @app.agent(orders)
    async def watch(stream):  # type: ignore[no-untyped-def]
        async for _ in stream:
            pass

    return app


PLACES = [TopicPartition("orders", 0), TopicPartition("orders", 1)]


async def test_what_is_done_is_no_lag_and_what_was_never_read_counts_from_its_beginning() -> None:
    async with TestDriver(shop()) as driver:
        worker = driver.running.worker
        lag = Lag(worker)
        await driver.send("orders", value=1, partition=0)
        assert await lag.read() == {PLACES[0]: 0, PLACES[1]: 0}
        assert lag.done() == {PLACES[0]: 1, PLACES[1]: None}


async def test_the_broker_is_asked_once_a_second_at_the_most(monkeypatch: pytest.MonkeyPatch) -> None:
    async with TestDriver(shop()) as driver:
        ends = Ends(driver.running.worker, monkeypatch)
        lag = Lag(driver.running.worker)
        for _ in range(3):
            await lag.read()
        assert ends.asked == 1
        await driver.advance(seconds=FRESH)
        await lag.read()
        assert ends.asked == 2


async def test_a_broker_that_does_not_answer_leaves_the_lag_unknown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with TestDriver(shop()) as driver:
        ends = Ends(driver.running.worker, monkeypatch)
        lag = Lag(driver.running.worker)
        ends.down = True
        assert await lag.read() is None
        assert "does not say where its partitions end: no connection" in caplog.text
        ends.down = False
        assert await lag.read() == {PLACES[0]: 0, PLACES[1]: 0}


async def test_where_only_new_records_are_wanted_an_unread_partition_has_no_lag_yet() -> None:
    async with TestDriver(shop(auto_offset_reset="latest")) as driver:
        assert await Lag(driver.running.worker).read() == {}
