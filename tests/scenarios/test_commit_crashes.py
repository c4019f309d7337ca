"""A crash between any two steps of a commit, and what the next worker finds: nothing below the truth."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from streamz_actors import AgentStream, App
from streamz_actors.running import Running
from tests.scenarios.support import Crash, Site, crash_at, ended, until

STEPS = ("stopped", "taken", "delivered", "sent", "committed", "applied")
KEYS = [f"k{number % 7}" for number in range(40)]


def counting(store: str = "memory://") -> App:
    app = App("crashes", store=store)
    topic = app.topic("in", key_type=str, value_type=int, partitions=2)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    counts = app.table("counts", key_type=str, value_type=int, default=int)
    app.stream(topic).group_by(lambda key, value: f"all-{value % 3}").count("again")

    @app.agent(topic, sinks=[out])
    async def count(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for key, _ in stream.items():  # noqa: PERF102  # no dict
            counts[key] += 1
            yield counts[key]

    return app


async def feed(running: Running, site: Site, keys: list[str]) -> None:
    for number, key in enumerate(keys):
        running.collector.send("in", key.encode(), b"%d" % number, 0)
    await site.settle(running)


def tables(running: Running) -> tuple[dict[str, int], dict[str, int]]:
    found: list[dict[str, int]] = []
    for name in ("counts", "again"):
        found.append({})
        for state in running.worker.states(name).values():
            found[-1].update(state.items())
    return found[0], found[1]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kept", ["nothing", "directory", "memory"])
async def test_counts_are_exact_after_a_crash_between_any_two_steps(step: str, kept: str, tmp_path: Path) -> None:
    site = Site("memory://" if kept == "memory" else "rocksdb://", tmp_path / "first")
    app = counting()
    first, life = await site.begin(app, watch=crash_at(step, 2))
    await feed(first, site, KEYS[:25])
    await first.worker.commit()
    await site.settle(first)
    await feed(first, site, KEYS[25:])
    with pytest.raises(Crash):
        await first.worker.commit()
    await first.worker.close()
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)

    if kept == "nothing":
        site.data_dir = tmp_path / "second"
    second, life = await site.begin(app)
    await site.settle(second)
    await second.worker.commit()
    counts, again = tables(second)
    await ended(second, life, site.clock)

    truth = Counter(KEYS)
    truth_again = Counter(f"all-{number % 3}" for number in [*range(25), *range(15)])
    assert counts == truth
    # What was sent since the last whole flush comes to the second count twice: it is a record there like any other.
    assert all(again[key] >= count for key, count in truth_again.items())
    best: Counter[str] = Counter()
    for key, value in rows(site, "out"):
        best[key] = max(best[key], value)
    assert all(best[key] >= count for key, count in truth.items())


def rows(site: Site, topic: str) -> list[tuple[str, int]]:
    found: list[tuple[str, int]] = []
    for log in site.broker.topic(topic).logs:
        raw = log.read(log.begin, 10_000)
        if raw is not None:
            pairs = zip(raw.keys, raw.values, strict=True)
            found += [((key or b"").decode(), int(value or b"0")) for key, value in pairs]
    return found


async def test_what_a_finished_event_yielded_is_in_its_topic_before_its_offset_is_committed() -> None:
    site = Site()
    app = App("yields")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    seen: list[tuple[int | None, int]] = []

    def watch(step: str) -> None:
        if step == "committed":
            seen.append((site.committed("yields", "in"), len(rows(site, "out"))))

    @app.agent(topic, sinks=[out])
    async def relay(stream: AgentStream[str, int]) -> AsyncIterator[int]:
        async for value in stream:
            if value == 1:  # the turn in which event 0 ended goes on
                await running.worker.commit()
            yield value

    running, life = await site.begin(app, watch=watch)
    for number in range(2):
        topic.send_soon(key="a", value=number)
    await until(lambda: seen)
    await ended(running, life, site.clock)
    assert seen[0] == (1, 1)


@pytest.mark.parametrize("moment", ["taken", "delivered", "sent", "committed"])
async def test_a_worker_cancelled_in_the_middle_of_a_commit_loses_no_state(moment: str, tmp_path: Path) -> None:
    site = Site("rocksdb://", tmp_path)
    app = counting()
    armed = False

    def watch(step: str) -> None:
        if armed and step == moment:
            life.cancel()

    first, life = await site.begin(app, watch=watch)
    await feed(first, site, KEYS[:25])
    armed = True
    due = first.worker.spec.settings.commit_interval
    site.clock.advance_to_next(site.clock.monotonic() + due)
    first.worker.wake()
    await until(lambda: life.cancelling())
    armed = False
    while not life.done():
        await asyncio.sleep(0)
        site.clock.advance_to_next(site.clock.monotonic() + 0.1)
    second, life = await site.begin(app)
    await feed(second, site, KEYS[25:])
    counts, _ = tables(second)
    await ended(second, life, site.clock)
    assert counts == Counter(KEYS)
