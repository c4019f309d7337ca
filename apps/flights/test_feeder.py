"""Feeding twice or after a crash: what the broker holds is not sent again, and a foreign feed is found out."""

from collections.abc import AsyncIterator

import pytest

from apps.flights import feeder, plan
from apps.flights.feeder import Feed, already_there
from apps.flights.models import Airline, Flight, Weather
from apps.flights.plan import Arrival, FeedMismatch
from apps.flights.topics import COUNTS, declare
from streamz_actors import App
from streamz_actors.clock import SystemClock
from streamz_actors.transport.abc import TopicSpec, Transport
from streamz_actors.transport.select import make_transport
from streamz_actors.types import TopicPartition

MINUTE = 60_000
TOPICS = declare(App("flights-feeder"))


def small_feed(seed: int = 0) -> Feed:
    flights = [Flight("UA", n, ("EWR", "JFK", "LGA")[n % 3], "IAH", n * MINUTE, 0, 0, 0) for n in range(60)]
    weather = [Weather(origin, hour * 60 * MINUTE, 0.0, 10.0) for origin in ("EWR", "LGA") for hour in range(2)]
    airline = Airline("UA", "United Air Lines Inc.")
    reference = [Arrival(plan.NEW_YEAR, "airlines", "UA", airline, plan.NEW_YEAR)]
    return Feed(reference, plan.events(flights, weather, disorder=30, seed=seed))


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with make_transport("memory://", clock=SystemClock(), consumer_config={}, producer_config={}) as made:
        await made.admin.create([TopicSpec(name, count) for name, count in COUNTS.items()])
        yield made


async def write(transport: Transport, arrivals: list[Arrival]) -> None:
    producer = transport.producer("test")
    await producer.start()
    for where, log in plan.by_partition(arrivals, COUNTS).items():
        schema = TOPICS.named(where.topic).value_schema
        await producer.send(
            where.topic,
            where.partition,
            [arrival.key.encode() for arrival in log],
            [schema.encode(arrival.value) for arrival in log],
            [arrival.timestamp for arrival in log],
        )
    await producer.stop()


async def test_on_an_empty_broker_everything_is_left(transport: Transport) -> None:
    feed = small_feed()
    assert await already_there(transport, feed, TOPICS) == {}
    assert feed.after({}) == feed


async def test_a_finished_feed_leaves_nothing(transport: Transport) -> None:
    feed = small_feed()
    await write(transport, [*feed.reference, *feed.events])
    assert len(feed.after(await already_there(transport, feed, TOPICS))) == 0


async def test_a_finished_feed_is_finished_in_any_order(transport: Transport) -> None:
    await write(transport, list(small_feed(seed=1).events))
    other = small_feed(seed=2)
    assert other.after(await already_there(transport, other, TOPICS)) == Feed(other.reference, [])


async def test_a_feed_that_was_cut_off_goes_on_where_it_was(transport: Transport) -> None:
    feed = small_feed()
    await write(transport, [*feed.reference, *feed.events[:25]])
    left = feed.after(await already_there(transport, feed, TOPICS))
    assert left == Feed([], feed.events[25:])


async def test_resuming_in_another_order_is_refused(transport: Transport) -> None:
    await write(transport, list(small_feed(seed=1).events[:25]))
    with pytest.raises(FeedMismatch, match="not fed in this order"):
        await already_there(transport, small_feed(seed=2), TOPICS)


async def test_records_beyond_the_feed_are_refused(transport: Transport) -> None:
    feed = small_feed()
    await write(transport, [*feed.events, feed.events[-1]])
    with pytest.raises(FeedMismatch, match="not fed in this order"):
        await already_there(transport, feed, TOPICS)
    where = TopicPartition("airlines", 0)
    with pytest.raises(FeedMismatch, match="writes only 1"):
        feed.after({where: 2})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--broker", "memory://"], "lives in its worker's process"),
        (["--speed", "0"], "--speed must be above 0"),
        (["--disorder", "-1"], "--disorder must not be negative"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        feeder.main(arguments)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
