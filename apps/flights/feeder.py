"""Feeds the topics: `python -m apps.flights.feeder --broker kafka://localhost:9092 [--speed X] [--disorder MINUTES]`.

Feeding is bounded, repeatable and resumable: what the topics already hold is not sent again.
"""

import argparse
import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from apps.flights import data, plan
from apps.flights.pace import deliver
from apps.flights.plan import Arrival, FeedMismatch
from apps.flights.topics import COUNTS, Topics, declare
from streamz_actors import App
from streamz_actors.clock import Clock, SystemClock
from streamz_actors.errors import StreamzError
from streamz_actors.transport.abc import Transport
from streamz_actors.transport.select import make_transport
from streamz_actors.types import TopicPartition

MOVING = ("flights", "landings", "weather")
"""What comes by event time; the rest stands still."""

DEFAULT_BROKER = "kafka://localhost:9092"


@dataclass(frozen=True, slots=True)
class Feed:
    """What is to be sent: `reference` must be delivered before the first of `events` is sent."""

    reference: Sequence[Arrival]
    events: Sequence[Arrival]

    def __len__(self) -> int:
        return len(self.reference) + len(self.events)

    def after(self, ends: Mapping[TopicPartition, int]) -> "Feed":
        """What is left where partitions end at these offsets. Raises FeedMismatch."""
        moving = {where: end for where, end in ends.items() if where.topic in MOVING}
        still = {where: end for where, end in ends.items() if where not in moving}
        return Feed(plan.remaining(self.reference, COUNTS, still), plan.remaining(self.events, COUNTS, moving))


def everything(disorder: float = 0.0, seed: int = 0) -> Feed:
    """The whole data set, in the order of `plan.events`."""
    return Feed(plan.reference(), plan.events(data.flights(), data.weather(), disorder=disorder, seed=seed))


async def send(
    topics: Topics,
    arrivals: Sequence[Arrival],
    *,
    speed: float | None = None,
    clock: Clock | None = None,
    on_sent: Callable[[int], None] = lambda count: None,
) -> None:
    """Sends to the topics of a running application, as `pace.deliver` does it. Raises ProduceError."""
    await deliver(
        arrivals,
        lambda arrival: topics.named(arrival.topic).send_soon(
            key=arrival.key, value=arrival.value, timestamp=arrival.timestamp
        ),
        speed=speed,
        clock=clock or SystemClock(),
        on_delivered=on_sent,
    )


async def unsent(url: str, feed: Feed, topics: Topics) -> Feed:
    """What the broker at `url` does not hold yet of `feed`. Raises FeedMismatch, BrokerUnavailable."""
    async with make_transport(url, clock=SystemClock(), consumer_config={}, producer_config={}) as transport:
        return feed.after(await already_there(transport, feed, topics))


async def already_there(transport: Transport, feed: Feed, topics: Topics) -> dict[TopicPartition, int]:
    """The end offsets of what was fed before.

    A partition with as many records as `feed` gives it is complete, in whatever order. Raises FeedMismatch unless the
    last record of every other is the one that `feed` puts there: it was else fed in another order (`--disorder`,
    `--seed`), or by somebody else.
    """
    existing = await transport.admin.describe(list(COUNTS))
    partitions = [TopicPartition(info.name, index) for info in existing.values() for index in range(info.partitions)]
    ends = {where: end for where, end in (await transport.admin.end_offsets(partitions)).items() if end > 0}
    logs = plan.by_partition([*feed.reference, *feed.events], COUNTS)
    begun = {where: end for where, end in ends.items() if end != len(logs.get(where, ()))}
    for where, raw in (await last_values(transport, begun)).items():
        expected = logs.get(where, [])[: ends[where]]
        found = topics.named(where.topic).value_schema.decode(raw)
        if len(expected) < ends[where] or found != expected[-1].value:
            raise FeedMismatch(
                f"partition {where} was not fed in this order: its last record is {found!r}. "
                "Resume with the --disorder and --seed it was begun with, or delete the topics and feed again."
            )
    return ends


async def last_values(transport: Transport, ends: Mapping[TopicPartition, int]) -> dict[TopicPartition, bytes | None]:
    """The value of the last record of each partition; `ends` are their end offsets, all above 0."""
    last: dict[TopicPartition, bytes | None] = {}
    reader = transport.reader()
    await reader.start()
    try:
        reader.assign({where: end - 1 for where, end in ends.items()})
        while any(reader.position(where) < end for where, end in ends.items()):
            for batch in await reader.poll(1.0):
                if batch.values:
                    last[TopicPartition(batch.topic, batch.partition)] = batch.values[-1]
    finally:
        await reader.stop()
    return last


async def run(broker: str, *, speed: float | None, disorder: float, seed: int, only: str | None) -> None:
    """What the command does: looks at what is there, sends the rest, and says so."""
    client = App("flights-feeder")
    topics = declare(client)
    async with client.running(broker=broker, web_enabled=False):
        feed = everything(disorder, seed)
        left = await unsent(broker, feed, topics)
        print(f"{len(feed) - len(left):,} of {len(feed):,} records are there already", flush=True)
        if only != "events":
            await send(topics, left.reference)
            print(f"sent {len(left.reference):,} airlines, airports and planes", flush=True)
        if only != "reference":
            await send(topics, left.events, speed=speed)
            print(f"sent {len(left.events):,} departures, landings and weather reports", flush=True)


def feeding_options(parser: argparse.ArgumentParser) -> None:
    """The options that say how to feed; the demo has them too."""
    parser.add_argument(
        "--speed", type=float, metavar="X", help="event time per real time: 3600 is an hour a second"
    )
    parser.add_argument(
        "--disorder", type=float, default=0.0, metavar="MINUTES", help="let flights arrive up to so much out of order"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the disorder: the same seed gives the same order")


def checked(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> argparse.Namespace:
    options = parser.parse_args(argv)
    if options.speed is not None and options.speed <= 0:
        parser.error("--speed must be above 0")
    if options.disorder < 0:
        parser.error("--disorder must not be negative")
    return options


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m apps.flights.feeder", description=__doc__)
    parser.add_argument("--broker", default=DEFAULT_BROKER, metavar="URL", help="default: %(default)s")
    parser.add_argument("--only", choices=("reference", "events"), help="feed only this part")
    feeding_options(parser)
    options = checked(parser, argv)
    if options.broker.startswith("memory:"):
        parser.error("an embedded broker lives in its worker's process: use `python -m apps.flights.demo`")
    try:
        asyncio.run(
            run(
                options.broker,
                speed=options.speed,
                disorder=options.disorder,
                seed=options.seed,
                only=options.only,
            )
        )
    except (FeedMismatch, StreamzError, data.DataMissing) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
