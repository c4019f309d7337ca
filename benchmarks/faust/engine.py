"""W1 and W2 with Faust: `python engine.py filter|count worker ...`; one agent each."""

import os
import sys

import faust

workload = sys.argv.pop(1)

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['BENCH_BROKER']}",
    store="rocksdb://?driver=rocksdict",
    datadir=os.environ["BENCH_DIR"],
    topic_partitions=int(os.environ["BENCH_PARTITIONS"]),
    topic_allow_declare=False,
    topic_disable_leader=True,
    broker_commit_interval=float(os.environ["BENCH_COMMIT_INTERVAL"]),
    producer_acks=-1,
    producer_max_batch_size=int(os.environ["BENCH_BATCH_BYTES"]),
    consumer_auto_offset_reset="earliest",
    web_enabled=False,
)


class Order(faust.Record, serializer="json"):
    id: int
    account: str
    amount: float
    currency: str
    country: str
    product: str
    quantity: int
    express: bool


def declare_filter() -> None:
    limit = float(os.environ["BENCH_LIMIT"])
    orders = app.topic(os.environ["BENCH_INPUT"], key_type=str, value_type=Order, key_serializer="raw")
    large = app.topic(os.environ["BENCH_OUTPUT"], key_type=str, value_type=Order, key_serializer="raw")

    @app.agent(orders)
    async def keep(stream: faust.Stream[Order]) -> None:
        async for key, order in stream.items():
            if order.amount > limit:
                await large.send(key=key, value=order)


def declare_count() -> None:
    orders = app.topic(os.environ["BENCH_INPUT"], key_type=str, value_type=bytes, key_serializer="raw")
    counts = app.Table("counts", key_type=str, value_type=int, default=int)

    @app.agent(orders)
    async def count(stream: faust.Stream[bytes]) -> None:
        async for key, _ in stream.items():  # noqa: PERF102 - a stream, no dict
            counts[key] += 1


{"filter": declare_filter, "count": declare_count}[workload]()

if __name__ == "__main__":
    app.main()
