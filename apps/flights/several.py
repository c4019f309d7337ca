"""The demo with several workers on one Kafka: they share the partitions, and any of them answers for any key.

Nothing of the application runs in this process: it feeds, asks over HTTP, and keeps the workers together.
"""

import argparse
import asyncio
import signal
from collections.abc import Callable, Sequence

import aiohttp
from rich.console import Console

from apps.flights.feeder import Feed, everything, send, unsent
from apps.flights.models import CarrierStats
from apps.flights.plan import Arrival
from apps.flights.progress import Bars
from apps.flights.remote import Remote
from apps.flights.showing import LOOK_EVERY, counted_of, expected_of, show_carriers, until_stopped
from apps.flights.topics import Topics, declare
from apps.flights.workers import Workers
from streamz_actors import App

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


async def demonstrate(options: argparse.Namespace, console: Console) -> None:
    """The steps, in order.

    1. see what the broker from an earlier run holds already;
    2. start the workers, wait until they have shared the partitions, list them;
    3. feed the reference data and wait until every worker's global tables have it;
    4. feed flights and weather while the workers count;
    5. show the carriers, and stay up as long as a worker does.
    """
    client = App("flights-feeder")
    topics = declare(client)
    whole = everything(options.disorder, options.seed)
    left = await unsent(options.kafka, whole, topics)
    workers = Workers(options.kafka, options.workers, options.port, lambda line: said(console, line))
    stop = asked_to_stop(workers.kill)
    async with workers, aiohttp.ClientSession() as session:
        show = Show(console, workers, Remote(session, lambda: workers.urls))
        await until_stopped(stop, show.all_ready())
        if not stop.is_set():
            async with client.running(broker=options.kafka, web_enabled=False):
                await until_stopped(stop, show.feed_and_watch(topics, whole, left, options.speed))
        while not stop.is_set():
            workers.check()
            await asyncio.sleep(LOOK_EVERY)
        said(console, "stopping: the workers finish what they have in hand; Ctrl-C again ends them at once")


def said(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def asked_to_stop(kill: Callable[[], None]) -> asyncio.Event:
    """Is set by the first signal; each further one calls `kill`."""
    stop = asyncio.Event()

    def asked() -> None:
        if stop.is_set():
            kill()
        stop.set()

    for signum in ENDING:
        asyncio.get_running_loop().add_signal_handler(signum, asked)
    return stop


class Show:
    def __init__(self, console: Console, workers: Workers, remote: Remote) -> None:
        self._console, self._workers, self._remote = console, workers, remote

    async def all_ready(self) -> None:
        """Returns when every worker is, and lists them. Raises WorkersFailed if one ends before that."""
        for worker in self._workers.all:
            while not await self._remote.ready(worker.url):
                self._workers.check(whole=True)
                await asyncio.sleep(LOOK_EVERY)
        for worker in self._workers.all:
            said(self._console, f"worker {worker.number}: {worker.url}  pid {worker.process.pid}")
        said(self._console, "Ask any of them. End one with `kill PID`, or `kill -9 PID`: the others take over.")

    async def feed_and_watch(self, topics: Topics, whole: Feed, left: Feed, speed: float | None) -> None:
        expected = expected_of(whole)
        with Bars(self._console) as bars:
            fed = bars.add("records fed", len(whole), len(whole) - len(left))
            counted = bars.add("flights counted", expected.total())
            await send(topics, left.reference, on_sent=lambda count: bars.advance(fed, count))
            await self._loaded(whole.reference)
            feeding = asyncio.create_task(
                send(topics, left.events, speed=speed, on_sent=lambda count: bars.advance(fed, count))
            )
            try:
                carriers: dict[str, CarrierStats] = {}
                while (done := counted_of(expected, carriers)) < expected.total():
                    self._workers.check()
                    bars.show(counted, done)
                    if feeding.done():
                        feeding.result()
                    await asyncio.sleep(LOOK_EVERY)
                    carriers = await self._remote.table("carriers", CarrierStats) or carriers
                bars.show(counted, done)
            finally:
                feeding.cancel()
                await asyncio.gather(feeding, return_exceptions=True)
        show_carriers(self._console, carriers)
        self._say_what_next()

    async def _loaded(self, reference: Sequence[Arrival]) -> None:
        """Returns when the last record of each topic is in every worker's global tables (see `demo.loaded`)."""
        last = {arrival.topic: arrival.key for arrival in reference}
        for worker in self._workers.all:
            for table, key in last.items():
                while worker.runs and not await self._remote.holds(worker.url, table, key):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(LOOK_EVERY)
        self._workers.check()

    def _say_what_next(self) -> None:
        said(self._console, "\nThe application stays up. Ask any worker, for any key:")
        for url in self._workers.urls:
            said(self._console, f"  curl {url}/v1/tables/carriers/UA")
        if self._workers.urls:
            said(self._console, f"Who has what:    curl {self._workers.urls[0]}/v1/cluster")
            said(self._console, f"Is it all true:  python -m apps.flights.check --url {self._workers.urls[0]}")
        said(self._console, "Stop them all with Ctrl-C.")
