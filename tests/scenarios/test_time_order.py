"""Records of several topics are taken in the order of their time, however many of each have to be fetched first."""

from streamz_actors import App
from streamz_actors.transport.abc import TopicSpec
from streamz_actors.types import TopicPartition
from tests.scenarios.support import Site, ended

ROWS = 25_000
"""More than one poll brings."""
LAST = 100
"""Orders, of the rows that come last."""


async def test_a_stream_waits_for_the_rows_of_a_table_that_are_on_their_way() -> None:
    site = Site()
    app = App("order", topic_partitions=1)
    prices = app.topic("prices", key_type=str, value_type=int)
    orders = app.topic("orders", key_type=str, value_type=int)
    out = app.topic("out", key_type=str, value_type=int)
    app.stream(orders).join(app.table(prices), lambda order, price: order * price).to(out)
    for topic in (orders, prices, out):
        site.broker.create_topic(TopicSpec(topic.name, 1, None, {}))
    keys: list[bytes | None] = [f"k{number}".encode() for number in range(ROWS)]
    site.broker.append(TopicPartition("prices", 0), keys, [b"3"] * ROWS, [1_000] * ROWS, None)
    site.broker.append(TopicPartition("orders", 0), keys[-LAST:], [b"2"] * LAST, [2_000] * LAST, None)
    running, life = await site.begin(app)
    await site.settle(running)
    assert site.broker.log(TopicPartition("out", 0)).end == LAST
    await ended(running, life, site.clock)
