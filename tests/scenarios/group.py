"""What the scenarios of several workers share: an application that counts and passes on, and workers that die."""

import asyncio
from collections import Counter
from typing import Any

from streamz_actors import AgentStream, App
from streamz_actors.running import Running
from streamz_actors.types import TopicPartition, partition_of
from tests.scenarios.support import Site, turns, until

PARTITIONS = 4
KEYS = [f"k{number}" for number in range(10)]


class Flow:
    """Numbered records of every key go in; each is counted in a table and passed on with its number.

    `began` has an entry for each start of an agent's function. Each worker is an application object of its own, as it
    would be in a process of its own.
    """

    def __init__(self, site: Site, name: str = "flow", **settings: Any) -> None:
        self.site, self.name, self._settings = site, name, settings
        self.sent = 0
        self.began: list[str] = []
        self.gate: asyncio.Event | None = None
        """What every event waits for, if it is there."""
        self.held = 0
        """How many have waited."""
        self.lives: dict[Running, asyncio.Task[None]] = {}

    def app(self, worker: str) -> App:
        app = App(self.name, **self._settings)
        topic = app.topic("in", key_type=str, value_type=int, partitions=PARTITIONS)
        out = app.topic("out", key_type=str, value_type=int, partitions=PARTITIONS)
        counts = app.table("counts", key_type=str, value_type=int, default=int)

        @app.agent(topic, sinks=[out])
        async def pass_on(stream: AgentStream[str, int]) -> Any:
            self.began.append(worker)
            async for key, number in stream.items():
                counts[key] += 1
                if number % 3 == 0:
                    await asyncio.sleep(0)
                if self.gate is not None:
                    self.held += 1
                    await self.gate.wait()
                yield number

        return app

    async def join(self, worker: str, **options: Any) -> Running:
        """Starts a worker and returns when it has a place in the group."""
        running = self.site.worker(self.app(worker), name=worker, **options)
        self.lives[running] = asyncio.create_task(running.run())
        await until(lambda: running.worker.members.assigned is not None)
        return running

    async def leave(self, running: Running) -> None:
        """As SIGTERM does it."""
        life = self.lives.pop(running)
        running.stop()
        while not life.done():
            await turns(20)
            self.site.clock.advance_to_next(self.site.clock.monotonic() + 0.1)
        await life

    async def kill(self, running: Running) -> None:
        """Its process is gone: nothing is committed, the group is told nothing."""
        await kill(running, self.lives.pop(running))

    def send(self, rounds: int) -> None:
        """The next number for each key, so many times."""
        for _ in range(rounds):
            for key in KEYS:
                place = TopicPartition("in", partition_of(key.encode(), PARTITIONS))
                value = str(self.sent).encode()
                self.site.broker.append(place, [key.encode()], [value], [self.sent], None)
            self.sent += 1

    @property
    def workers(self) -> list[Running]:
        return list(self.lives)

    async def settle(self) -> None:
        await self.site.settle(*self.workers)
        for running, life in self.lives.items():
            assert running.worker.failure is None
            assert not life.done()

    async def end(self) -> None:
        for running in self.workers:
            await self.leave(running)

    # -- what has come of it

    def shares(self) -> list[int]:
        """How many tasks each worker has."""
        return [len(running.worker.tasks) for running in self.workers]

    def outputs(self) -> dict[str, list[int]]:
        """By key: the numbers that were passed on, in order."""
        found: dict[str, list[int]] = {key: [] for key in KEYS}
        for partition in range(PARTITIONS):
            log = self.site.broker.log(TopicPartition("out", partition))
            raw = log.read(log.begin, 1_000_000, committed=True)
            for key, value in zip(raw.keys, raw.values, strict=True) if raw is not None else ():
                assert key is not None
                assert value is not None
                found[key.decode()].append(int(value))
        return found

    def counts(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for running in self.workers:
            for state in running.worker.states("counts").values():
                for key, value in state.items():
                    assert key not in found, "two workers have it"
                    found[key] = value
        return found

    def check_exact(self) -> None:
        """Everything once, in order."""
        numbers = list(range(self.sent))
        assert self.outputs() == dict.fromkeys(KEYS, numbers)
        assert self.counts() == Counter(dict.fromkeys(KEYS, self.sent))

    def check_at_least_once(self) -> None:
        """Nothing is missing, and whatever comes again comes again from there on, in order."""
        for key, numbers in self.outputs().items():
            assert set(numbers) == set(range(self.sent)), key
            assert all(after <= before + 1 for before, after in zip([-1, *numbers], numbers, strict=False)), key
            assert self.counts()[key] >= self.sent


async def kill(running: Running, life: "asyncio.Task[None]") -> None:
    worker = running.worker

    async def nothing() -> None:
        """The dead do not act."""

    worker._drain = worker.close = nothing  # type: ignore[method-assign]
    life.cancel()
    await asyncio.gather(life, return_exceptions=True)
    if worker._polling is not None:
        worker._polling.cancel()
        await asyncio.gather(worker._polling, return_exceptions=True)
    await worker._background.stop()
    await worker.assigned.close()


async def expire(site: Site, seconds: float = 13.0) -> None:
    """Time goes on until the group has given up who died."""
    await turns(50)
    end = site.clock.monotonic() + seconds
    while site.clock.advance_to_next(end):
        await turns(20)
    await turns(50)
