"""The cluster kit: what each thing that can be done to a worker does, and that a seed gives the same run each time."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamz_actors import AgentStream, App
from streamz_actors.errors import HandlerError, TableUnknown, UsageError
from streamz_actors.testing import Faults, TestCluster
from streamz_actors.types import TopicPartition, partition_of

ROOT = Path(__file__).parents[3]
HOSTILE = Faults(slow=0.05, stall=0.5, lost=0.02, unanswered=0.02, late=0.02, repeated=0.1, split=0.3)


def make_app() -> App:
    app = App("cluster-app", topic_partitions=4)
    topic = app.topic("in", key_type=str, value_type=int)
    out = app.topic("out", key_type=str, value_type=int)
    counts = app.table("counts", key_type=str, value_type=int, default=int)
    app.stream(topic).group_by(lambda key, value: value % 2).count("parities")

    @app.agent(topic, sinks=[out])
    async def count(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for key, value in stream.items():
            counts[key] += 1
            yield value

    return app


async def feed(cluster: TestCluster, count: int, start: int = 0) -> None:
    for number in range(start, start + count):
        await cluster.send("in", key=f"k{number % 8}", value=number)


async def eventful(seed: int) -> TestCluster:
    """A run with a bit of everything, under this guarantee or that; the cluster is closed."""
    guarantee = ("at_least_once", "exactly_once")[seed % 2]
    async with TestCluster(
        make_app, workers=2, seed=seed, faults=HOSTILE, processing_guarantee=guarantee
    ) as cluster:
        for number in range(40):
            await feed(cluster, 1, number)
            await cluster.advance(0.2)
            if number == 10:
                await cluster.kill(0)
            if number == 20:
                await cluster.add()
                await cluster.pause(1)
        await cluster.advance(15)
        await cluster.resume(1)
        await cluster.restart(0)
        cluster.heal()
        await cluster.settle()
    return cluster


def owners(cluster: TestCluster) -> list[int]:
    """How many tasks each worker has that runs."""
    return [len(process.worker.tasks) for process in cluster.workers if process.alive]


async def test_what_is_read_and_kept_is_exact_under_exactly_once_whatever_happens() -> None:
    async with TestCluster(
        make_app, workers=2, seed=11, faults=HOSTILE, processing_guarantee="exactly_once", commit_interval=0.5
    ) as cluster:
        for number in range(0, 120, 4):
            await feed(cluster, 4, number)
            await cluster.advance(0.3)
            if number in (20, 60):
                await cluster.kill(0)
                await cluster.restart(0)
            if number == 40:
                await cluster.pause(1)
        await cluster.advance(15)
        await cluster.resume(1)
        cluster.heal()
        await cluster.settle()
        assert sorted(record.value for record in cluster.read("out")) == list(range(120))
        assert dict(cluster.table("counts")) == {f"k{number}": 15 for number in range(8)}
        assert dict(cluster.table("parities")) == {0: 60, 1: 60}


async def test_what_goes_in_comes_out_and_the_tasks_are_shared() -> None:
    async with TestCluster(make_app) as cluster:
        await feed(cluster, 40)
        await cluster.settle()
        assert sorted(record.value for record in cluster.read("out")) == list(range(40))
        assert cluster.read("out") == []
        assert dict(cluster.table("counts")) == {f"k{number}": 5 for number in range(8)}
        assert dict(cluster.table("parities")) == {0: 20, 1: 20}
        assert sorted(owners(cluster)) == [2, 3, 3]


async def test_the_same_seed_gives_the_same_run_another_one_another() -> None:
    first, other = await eventful(1), await eventful(2)
    assert first.trace == (await eventful(1)).trace
    assert other.trace == (await eventful(2)).trace
    assert first.trace != other.trace


def test_a_run_does_not_depend_on_how_this_process_hashes() -> None:
    code = (
        "import asyncio, tests.unit.testing.test_cluster as t;"
        "print(chr(10).join(asyncio.run(t.eventful(7)).trace))"
    )
    traces = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(traces) == 1
    assert len(traces.pop()) > 1_000


async def test_a_killed_worker_is_missed_after_its_session_and_nothing_of_its_work_is_lost() -> None:
    async with TestCluster(make_app, workers=2, commit_interval=5.0) as cluster:
        await feed(cluster, 40)
        await cluster.advance(1)
        await cluster.kill(0)
        assert len(cluster.workers[1].worker.tasks) < 12
        await cluster.advance(11)
        assert len(cluster.workers[1].worker.tasks) < 12
        await cluster.settle()
        assert owners(cluster) == [8]
        assert {record.value for record in cluster.read("out")} == set(range(40))
        assert sum(dict(cluster.table("counts")).values()) >= 40


async def test_a_worker_killed_with_its_state_kept_reads_on_from_its_disk(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "streamz_actors.restore")
    restored = []
    for keep in (True, False):
        async with TestCluster(make_app, workers=1) as cluster:
            for number in range(0, 800, 40):
                await feed(cluster, 40, number)
                await cluster.advance(1)
            await cluster.settle()
            caplog.clear()
            await cluster.kill(0, keep_state=keep)
            await cluster.restart(0)
            await cluster.settle()
            assert sum(dict(cluster.table("counts")).values()) == 800
            lines = [record.getMessage() for record in caplog.records if "restored" in record.getMessage()]
            restored.append(sum(int(line.split()[1].replace(",", "")) for line in lines))
    assert restored[0] < restored[1]


async def test_a_stopped_worker_hands_over_at_once() -> None:
    async with TestCluster(make_app, workers=2) as cluster:
        await feed(cluster, 40)
        await cluster.stop(0)
        await cluster.advance(1)
        assert owners(cluster) == [8]
        await cluster.settle()
        assert sorted(record.value for record in cluster.read("out")) == list(range(40))


async def test_an_added_worker_gets_its_share() -> None:
    async with TestCluster(make_app, workers=1) as cluster:
        assert await cluster.add() == 1
        await cluster.settle()
        assert owners(cluster) == [4, 4]


async def test_a_paused_worker_becomes_a_zombie_whose_work_counts_for_nothing() -> None:
    async with TestCluster(make_app, workers=2, commit_interval=2.0) as cluster:
        await feed(cluster, 40)
        await cluster.advance(0.5)
        await cluster.pause(0)
        await cluster.advance(20)
        assert len(cluster.workers[1].worker.tasks) == 8
        await cluster.resume(0)
        await cluster.settle()
        assert owners(cluster) == [4, 4]
        assert {record.value for record in cluster.read("out")} == set(range(40))


async def test_a_paused_worker_that_comes_back_in_time_has_lost_nothing() -> None:
    async with TestCluster(make_app, workers=2) as cluster:
        await cluster.pause(0)
        await feed(cluster, 40)
        await cluster.advance(5)
        await cluster.resume(0)
        await cluster.settle()
        assert sorted(record.value for record in cluster.read("out")) == list(range(40))


async def test_a_worker_dies_at_the_step_of_a_commit_that_is_named() -> None:
    async with TestCluster(make_app, workers=1) as cluster:
        cluster.crash_at(0, "committed", count=2)
        await feed(cluster, 40)
        await cluster.advance(1.5)
        await feed(cluster, 40, 40)
        await cluster.advance(1.5)
        assert not cluster.workers[0].alive
        assert any("dies at step 'committed'" in line for line in cluster.trace)
        await cluster.restart(0)
        await cluster.settle()
        assert dict(cluster.table("counts")) == {f"k{number}": 10 for number in range(8)}


async def test_time_that_jumps_and_clocks_that_are_wrong_change_nothing() -> None:
    async with TestCluster(make_app, workers=2) as cluster:
        await cluster.set_clock(0, -3_600)
        await feed(cluster, 20)
        await cluster.jump(60)
        await feed(cluster, 20, 20)
        await cluster.settle()
        assert sorted(record.value for record in cluster.read("out")) == list(range(40))


async def test_one_application_object_can_be_run_by_all_workers() -> None:
    app = App("shared")
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    out = app.topic("out", key_type=str, value_type=int, partitions=2)

    @app.agent(topic)
    async def relay(stream: AgentStream[str, int]) -> None:
        async for key, value in stream.items():
            await out.send(key=key, value=value)

    async with TestCluster(app, workers=2) as cluster:
        await feed(cluster, 20)
        await cluster.settle()
        assert sorted(record.value for record in cluster.read(out)) == list(range(20))
        sent = [process.worker.collector.sent.get("out", 0) for process in cluster.workers]
        assert min(sent) > 0
        assert sum(sent) == 20


async def test_an_error_of_the_application_comes_out_of_the_call_during_which_it_came() -> None:
    app = App("failing")
    app.stream(app.topic("in", key_type=str, value_type=int)).map(lambda key, value: 1 // value).foreach(print)
    cluster = TestCluster(app, workers=1)
    await cluster.start()
    await cluster.send("in", key="a", value=0)
    with pytest.raises(HandlerError, match="ZeroDivisionError"):
        await cluster.settle()
    await cluster.close()


async def test_a_worker_that_the_broker_makes_fail_is_started_again() -> None:
    async with TestCluster(make_app, workers=1, seed=5, faults=Faults(refused=0.2)) as cluster:
        await feed(cluster, 40)
        await cluster.advance(20)
        cluster.heal()
        await cluster.settle()
        assert cluster.workers[0].lives > 1
        assert {record.value for record in cluster.read("out")} == set(range(40))


async def test_logs_are_cleaned_but_for_their_newest_records() -> None:
    async with TestCluster(make_app, workers=1) as cluster:
        for number in range(0, 600, 20):
            await feed(cluster, 20, number)
            await cluster.advance(1)
        log = cluster.broker.log(TopicPartition("cluster-app-counts-changelog", partition_of(b"k0", 4)))
        before = len(log)
        cluster.compact()
        assert 20 <= len(log) < before
        await cluster.kill(0, keep_state=False)
        await cluster.restart(0)
        await cluster.settle()
        assert sum(dict(cluster.table("counts")).values()) == 600


async def test_what_makes_no_sense_is_refused() -> None:
    app = App("channels")

    @app.agent(app.channel())
    async def listen(stream: AgentStream[str, int]) -> None:
        """Never runs."""

    with pytest.raises(UsageError, match="a function that makes the application"):
        TestCluster(app)
    async with TestCluster(make_app, workers=1) as cluster:
        with pytest.raises(UsageError, match="no worker 1"):
            await cluster.kill(1)
        with pytest.raises(UsageError, match="is running"):
            await cluster.restart(0)
        with pytest.raises(UsageError, match="not paused"):
            await cluster.resume(0)
        with pytest.raises(TableUnknown, match="'none'"):
            cluster.table("none")
        await cluster.kill(0)
        with pytest.raises(UsageError, match="has ended"):
            await cluster.stop(0)


async def test_what_never_comes_to_rest_is_told() -> None:
    async with TestCluster(make_app, workers=2) as cluster:
        await cluster.kill(0)
        with pytest.raises(UsageError, match=r"nobody has task|rebalance"):
            await cluster.settle(limit=5)
