"""Records of several topics are taken in the order of their time, however many of each have to be fetched first."""

from streamz_actors import App
from streamz_actors.transport.abc import TopicSpec
from streamz_actors.types import TopicPartition
from tests.scenarios.support import Site, ended

ROWS = 25_000
"""More than one poll brings, of one topic and of both together."""


async def test_a_stream_waits_for_the_rows_of_a_table_that_are_on_their_way() -> None:
    site = Site()
    app = App("order", topic_partitions=1)
    prices = app.topic("prices", key_type=str, value_type=int)
    orders = app.topic("orders", key_type=str, value_type=int)
    out = app.topic("out", key_type=str, value_type=int)
    app.stream(orders).join(app.table(prices), lambda order, price: order * price).to(out)
    keys: list[bytes | None] = [f"k{number}".encode() for number in range(ROWS)]
    for topic, value, timestamp in (("orders", b"2", 2_000), ("prices", b"3", 1_000), ("out", b"", 0)):
        site.broker.create_topic(TopicSpec(topic, 1, None, {}))
        if value:
            site.broker.append(TopicPartition(topic, 0), keys, [value] * ROWS, [timestamp] * ROWS, None)
    running, life = await site.begin(app)
    await site.settle(running)
    assert site.broker.log(TopicPartition("out", 0)).end == ROWS
    await ended(running, life, site.clock)
