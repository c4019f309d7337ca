"""Worker and feeder in one process: `python -m apps.flights.demo [--kafka URL] [--speed X] [--disorder MINUTES]`.

With `--kafka URL --workers 3` the workers are processes of their own: see several.py.

Shows the progress and the carriers, then stays up for queries until it is interrupted. Run again it shows the same
numbers: on the embedded broker all starts anew, on Kafka what was fed and counted is still there.
"""

import argparse
import asyncio
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from apps.flights import data, several
from apps.flights.app import airlines, airports, app, carriers, planes, topics
from apps.flights.feeder import Feed, checked, everything, feeding_options, send, unsent
from apps.flights.plan import Arrival, FeedMismatch
from apps.flights.progress import Bars
from apps.flights.remote import Refused
from apps.flights.showing import LOOK_EVERY, counted_of, expected_of, show_carriers, until_stopped
from apps.flights.workers import WorkersFailed
from streamz_actors.errors import StreamzError

EMBEDDED = "memory://"


async def demonstrate(options: argparse.Namespace, console: Console) -> None:
    """The steps, in order.

    1. see what a broker from an earlier run holds already;
    2. start the application: it loads its global tables to their end;
    3. feed the reference data and wait until the global tables show it, so that no flight is enriched too early;
    4. feed flights and weather while the application counts;
    5. show the carriers and stay up.
    """
    stop = asyncio.Event()
    for signum in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    whole = everything(options.disorder, options.seed)
    left = whole if options.kafka is None else await unsent(options.kafka, whole, topics)
    async with app.running(broker=options.kafka or EMBEDDED, web_port=options.port):
        with Bars(console) as bars:
            await until_stopped(stop, feed_and_watch(whole, left, bars, options.speed))
        if not stop.is_set():
            show(console, options.port)
        while not stop.is_set():
            app.link.get("the demo")  # raises once the worker has failed; the end of the block then says why
            await asyncio.sleep(LOOK_EVERY)


async def feed_and_watch(whole: Feed, left: Feed, bars: Bars, speed: float | None) -> None:
    fed = bars.add("records fed", len(whole), len(whole) - len(left))
    expected = expected_of(whole)
    counted = bars.add("flights counted", expected.total())
    await send(topics, left.reference, on_sent=lambda count: bars.advance(fed, count))
    await loaded({"airlines": airlines, "airports": airports, "planes": planes}, whole.reference)
    feeding = asyncio.create_task(
        send(topics, left.events, speed=speed, on_sent=lambda count: bars.advance(fed, count))
    )
    try:
        while (done := counted_of(expected, carriers)) < expected.total():
            bars.show(counted, done)
            if feeding.done():
                feeding.result()
            await asyncio.sleep(LOOK_EVERY)
        bars.show(counted, done)
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def loaded(tables: Mapping[str, Mapping[str, Any]], reference: Sequence[Arrival]) -> None:
    """Returns when each global table holds its topic's last record.

    The topics have one partition each, so that all records before it are then there too.
    """
    last = {arrival.topic: arrival.key for arrival in reference}
    for topic, table in tables.items():
        while last[topic] not in table:  # noqa: ASYNC110 - a table has no event for "not yet"
            await asyncio.sleep(LOOK_EVERY)


def show(console: Console, port: int) -> None:
    show_carriers(console, dict(carriers.items()))
    console.print(f"\nThe application stays up. Ask it: curl localhost:{port}/v1/tables/carriers/UA", highlight=False)
    console.print("Stop it with Ctrl-C.", highlight=False)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m apps.flights.demo", description=__doc__)
    parser.add_argument("--kafka", metavar="URL", help="kafka://host:port (default: the embedded broker)")
    parser.add_argument("--port", type=int, default=6066, help="of the web server (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N",
        help="on a Kafka: worker processes, on the web ports from --port upwards (default: %(default)s)",
    )  # fmt: skip
    feeding_options(parser)
    options = checked(parser, argv)
    if options.workers < 1:
        parser.error("--workers must be at least 1")
    if options.workers > 1 and options.kafka is None:
        parser.error("--workers needs --kafka: the embedded broker lives inside one process, others can't share it")
    if options.workers > 1 and not 0 < options.port <= 65_536 - options.workers:
        parser.error(f"--workers {options.workers} needs as many ports, from --port {options.port} upwards")
    # The client calls each retry against a broker that has just started an error; failures are told by the application.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        asyncio.run((demonstrate if options.workers == 1 else several.demonstrate)(options, Console()))
    except (FeedMismatch, StreamzError, data.DataMissing, WorkersFailed, Refused) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
