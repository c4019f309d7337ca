"""A worker that begins while no broker answers waits for one, says so, and can be stopped meanwhile."""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.errors import BrokerUnavailable, TransportError
from streamz_actors.running import Running
from streamz_actors.stores.rocksdb import RocksBackend
from streamz_actors.telemetry.loop_lag import LoopLag
from streamz_actors.transport.abc import Assignor, Consumer, GroupSettings, Listener, TransactionalProducer
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.consumer import MemoryConsumer
from streamz_actors.transport.memory.producer import MemoryTransactionalProducer
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.web.health import Health
from streamz_actors.worker.reaching import LONGEST
from tests.scenarios.support import Site, ended, turns, until


class Away(MemoryTransport):
    """Nobody answers `step` as long as `error` is set; `tries` counts."""

    def __init__(self, broker: MemoryBroker, step: str, error: TransportError | None) -> None:
        super().__init__(broker)
        self.step, self.error, self.tries, self.endless = step, error, 0, False

    def tried(self, times: int) -> bool:
        return self.tries == times

    async def reach(self, step: str) -> None:
        if step != self.step:
            return
        self.tries += 1
        if self.endless:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error

    async def start(self) -> None:
        await self.reach("transport")
        await super().start()

    def transactional_producer(
        self, client_id: str, transactional_id: str, *, timeout: float = 60.0
    ) -> TransactionalProducer:
        return SlowStart(self, transactional_id, timeout)

    def consumer(self, settings: GroupSettings, assignor: Assignor, listener: Listener) -> Consumer:
        return SlowConsumer(self, settings, assignor, listener)


class SlowConsumer(MemoryConsumer):
    def __init__(self, transport: Away, settings: GroupSettings, assignor: Assignor, listener: Listener) -> None:
        super().__init__(transport.broker, settings, assignor, listener)
        self._transport = transport

    async def start(self, topics: Collection[str]) -> None:
        await self._transport.reach("consumer")
        await super().start(topics)


class SlowStart(MemoryTransactionalProducer):
    def __init__(self, transport: Away, transactional_id: str, timeout: float) -> None:
        super().__init__(transport.broker, transactional_id, timeout)
        self._transport = transport

    async def start(self) -> None:
        await self._transport.reach("producer")
        await super().start()


def app(guarantee: str = "exactly_once") -> App:
    made = App("late", processing_guarantee=guarantee)
    topic = made.topic("in", key_type=str, value_type=int, partitions=1)
    made.stream(topic).group_by_key().count("counted")
    return made


GONE = BrokerUnavailable("no broker answers at kafka://x")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site("rocksdb://", tmp_path)


def begin(site: Site, transport: Away, *, first: bool = False, **options: Any) -> "tuple[Running, asyncio.Task[None]]":
    """`first`: it has not been here before."""
    backend = RocksBackend(site.data_dir / "late")
    if not first:
        backend.open("late-0", {}).close()
    running = site.worker(app(), transport=transport, backend=backend, **options)
    return running, asyncio.create_task(running.run())


@pytest.mark.parametrize("step", ["transport", "producer", "consumer"])
async def test_it_is_tried_again_until_somebody_answers(
    site: Site, step: str, caplog: pytest.LogCaptureFixture
) -> None:
    transport = Away(site.broker, step, GONE)
    running, life = begin(site, transport)
    ready: Callable[[], dict[str, Any]] = Health(running.worker, LoopLag(site.clock)).ready
    for tries in range(1, 8):
        await until(partial(transport.tried, tries))
        await turns()
        assert ready()["reasons"] == ["the worker is starting: no broker answers at kafka://x"]
        site.clock.advance_to_next(site.clock.monotonic() + LONGEST)
    transport.error = None
    await turns()
    site.clock.advance_to_next(site.clock.monotonic() + LONGEST)
    await until(running.worker.ready.is_set)
    assert ready()["ready"]
    pauses = [record.getMessage().rpartition(" in ")[2] for record in caplog.records if "tried again" in record.message]
    assert pauses[:6] == ["0.5 s", "1 s", "2 s", "4 s", "5 s", "5 s"]
    await ended(running, life, site.clock)


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("step", ["transport", "consumer"])
@pytest.mark.parametrize("endless", [False, True], ids=["between two tries", "in a try"])
async def test_it_can_be_stopped_meanwhile(site: Site, endless: bool, step: str, guarantee: str) -> None:
    transport = Away(site.broker, step, GONE)
    transport.endless = endless
    running, life = begin(site, transport, processing_guarantee=guarantee)
    await until(lambda: transport.tries == 1)
    await turns()
    running.stop()
    await life


async def test_what_waiting_does_not_mend_ends_it_at_once(site: Site) -> None:
    transport = Away(site.broker, "transport", TransportError("wrong password"))
    _, life = begin(site, transport)
    with pytest.raises(TransportError, match="wrong password"):
        await life
    assert transport.tries == 1


async def test_a_first_start_does_not_wait(site: Site) -> None:
    _, life = begin(site, Away(site.broker, "transport", GONE), first=True)
    with pytest.raises(BrokerUnavailable):
        await life


async def test_a_bounded_run_does_not_wait(site: Site) -> None:
    _, life = begin(site, Away(site.broker, "transport", GONE), bounded=True)
    with pytest.raises(BrokerUnavailable):
        await life
