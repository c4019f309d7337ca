"""Liveness and readiness in each state that a worker can be in."""

import pytest

from streamz_actors import App
from streamz_actors.assignment.assignor import GroupAssignor
from streamz_actors.assignment.wire import Member
from streamz_actors.clock import ManualClock
from streamz_actors.errors import StreamzError
from streamz_actors.query.local import LocalQueries
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.tasks.restore import Progress
from streamz_actors.telemetry.loop_lag import LoopLag
from streamz_actors.transport.abc import GroupSettings
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from streamz_actors.web.health import LATE, SILENT, Health
from streamz_actors.web.lag import Lag
from streamz_actors.web.metrics import Metrics
from streamz_actors.worker.status import WorkerStatus
from streamz_actors.worker.worker import Worker


class Late(LoopLag):
    """Says what it is told to."""

    seconds = 0.0

    @property
    def last(self) -> float:
        return self.seconds


class Watched:
    """A worker on a clock that stands still, with its global tables loaded and a place in its group."""

    def __init__(self) -> None:
        self.clock = ManualClock(1_000_000)
        app = App("shop", web_enabled=False)
        transport = MemoryTransport(clock=self.clock)
        self.worker = worker = Worker(app.spec(), transport, MemoryBackend(), self.clock, name="w")
        worker.status = WorkerStatus.RUNNING
        worker.globals.loaded = True
        assignor = GroupAssignor(lambda: Member("w", "", 0, -1, {}), lambda counts: (), worker.members.told)
        worker.members.consumer = transport.consumer(GroupSettings("shop", "w"), assignor, worker.members)
        self.lag = Late(self.clock)
        self.health = Health(worker, self.lag)

    def wait(self, seconds: float) -> None:
        self.clock.advance_to_next(self.clock.monotonic() + seconds)

    def why_dead(self) -> str:
        live = self.health.live()
        assert live["live"] is (not live["reasons"])
        return "; ".join(live["reasons"])

    def why_not_ready(self) -> str:
        ready = self.health.ready()
        assert ready["ready"] is (not ready["reasons"])
        return "; ".join(ready["reasons"])


@pytest.fixture
async def watched() -> Watched:
    return Watched()


async def test_a_worker_that_polls_is_alive(watched: Watched) -> None:
    watched.wait(5)
    assert watched.why_dead() == ""
    assert watched.health.live()["poll_age"] == 5


async def test_without_a_finished_poll_for_long_it_is_dead(watched: Watched) -> None:
    watched.wait(SILENT + 1)
    assert watched.why_dead() == f"no poll has come back for {SILENT + 1:.0f} s"
    watched.worker.status = WorkerStatus.STARTING
    assert watched.why_dead() == ""


async def test_a_loop_that_is_very_late_is_dead(watched: Watched) -> None:
    watched.lag.seconds = LATE + 0.5
    assert watched.why_dead() == f"the event loop is {LATE + 0.5:.1f} s late: something holds it"


async def test_a_failed_worker_is_neither_alive_nor_ready(watched: Watched) -> None:
    watched.worker.ready.set()
    watched.worker.fail(StreamzError("offset 7"))
    assert watched.why_dead() == watched.why_not_ready() == "the worker has failed: offset 7"


async def test_a_stopped_worker_is_neither_alive_nor_ready(watched: Watched) -> None:
    watched.worker.status = WorkerStatus.STOPPED
    assert watched.why_dead() == watched.why_not_ready() == "the worker has stopped"


async def test_readiness_waits_for_each_step_of_the_start(watched: Watched) -> None:
    worker = watched.worker
    worker.globals.loaded, worker.status = False, WorkerStatus.STARTING
    assert watched.why_not_ready() == "the worker is starting: its global tables are not loaded yet"
    worker.globals.loaded = True
    assert watched.why_not_ready() == "the worker is starting"
    worker.status = WorkerStatus.RUNNING
    assert watched.why_not_ready() == "no partitions have been assigned yet"
    worker.members.assigned = frozenset({TopicPartition("orders", 0)})
    assert watched.why_not_ready() == "assigned partitions are being taken over"
    worker.ready.set()
    assert watched.why_not_ready() == ""
    worker.status = WorkerStatus.DRAINING
    assert watched.why_not_ready() == "the worker is stopping"


async def test_a_restore_shows_records_rate_and_time_to_go(watched: Watched) -> None:
    worker = watched.worker
    worker.members.assigned = frozenset({TopicPartition("orders", 0)})
    progress = Progress(watched.clock.monotonic(), total=1_000, tables={"shop-totals-changelog-0": 1_000})
    worker.assigned.restorer.progress = progress
    assert watched.health.ready()["restore"]["eta"] is None
    watched.wait(10)
    progress.done, progress.bytes, progress.tables = 250, 5_000, {"shop-totals-changelog-0": 750}
    assert watched.why_not_ready().startswith("tables are being restored: 250 of 1,000 records")
    assert watched.health.ready()["restore"] == {
        "records": 250,
        "total": 1_000,
        "bytes": 5_000,
        "rate": 25.0,
        "eta": 30.0,
        "remaining": {"shop-totals-changelog-0": 750},
    }


async def test_metrics_show_a_restore_while_it_goes_on(watched: Watched) -> None:
    worker = watched.worker
    metrics = Metrics(worker, LocalQueries(worker), Lag(worker), watched.lag)
    assert "streamz_restore" not in await metrics.text()
    worker.assigned.restorer.progress = Progress(watched.clock.monotonic(), total=1_000, done=250)
    watched.wait(10)
    lines = (await metrics.text()).splitlines()
    assert {"streamz_restore_records 250", "streamz_restore_remaining_records 750"} <= set(lines)
    assert "streamz_restore_records_per_second 25" in lines


async def test_a_spare_is_ready_and_says_that_it_is_one(watched: Watched) -> None:
    watched.worker.members.assigned = frozenset()
    watched.worker.ready.set()
    ready = watched.health.ready()
    assert (ready["ready"], ready["spare"]) == (True, True)
