"""What our applications share: their settings from the environment, the orders, the topics."""

import os
from typing import Any

from streamz_actors import App, Record

INPUT = os.environ["BENCH_INPUT"]
OUTPUT = os.environ["BENCH_OUTPUT"]
LIMIT = float(os.environ["BENCH_LIMIT"])


class Order(Record, frozen=True):
    id: int
    account: str
    amount: float
    currency: str
    country: str
    product: str
    quantity: int
    express: bool


def make_app() -> App:
    return App(
        os.environ["BENCH_GROUP"],
        broker=f"kafka://{os.environ['BENCH_BROKER']}",
        data_dir=os.environ["BENCH_DIR"],
        commit_interval=float(os.environ["BENCH_COMMIT_INTERVAL"]),
        topic_partitions=int(os.environ["BENCH_PARTITIONS"]),
        producer_config={"max_batch_size": int(os.environ["BENCH_BATCH_BYTES"])},
        web_enabled=False,
    )


def topic(app: App, name: str, value_type: Any, key_type: Any = str) -> Any:
    return app.topic(name, key_type=key_type, value_type=value_type, partitions=int(os.environ["BENCH_PARTITIONS"]))
