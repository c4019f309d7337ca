"""W1, W2, W3, W3h and W4 with Quix Streams: `python engine.py filter|count|tumbling|hopping|enrich`."""

import os
import sys
from typing import Any

from quixstreams import Application, State
from quixstreams.dataframe.windows import Sum

app = Application(
    broker_address=os.environ["BENCH_BROKER"],
    consumer_group=os.environ["BENCH_GROUP"],
    auto_offset_reset="earliest",
    commit_interval=float(os.environ["BENCH_COMMIT_INTERVAL"]),
    state_dir=os.environ["BENCH_DIR"],
    producer_extra_config={
        "acks": "all",
        "compression.type": "none",
        "batch.size": int(os.environ["BENCH_BATCH_BYTES"]),
    },
    loglevel="WARNING",
)


def declare_filter() -> None:
    limit = float(os.environ["BENCH_LIMIT"])
    orders = app.topic(os.environ["BENCH_INPUT"], value_deserializer="json")
    large = app.topic(os.environ["BENCH_OUTPUT"], value_serializer="json")
    app.dataframe(orders).filter(lambda order: order["amount"] > limit).to_topic(large)


def declare_count() -> None:
    def count(_: bytes, state: State) -> None:
        state.set("count", state.get("count", 0) + 1)

    orders = app.topic(os.environ["BENCH_INPUT"], value_deserializer="bytes")
    app.dataframe(orders).update(count, stateful=True)


def declare_tumbling() -> None:
    orders = app.topic(os.environ["BENCH_INPUT"], value_deserializer="json")
    output = app.topic(os.environ["BENCH_OUTPUT"], value_serializer="json")
    app.dataframe(orders).tumbling_window(60_000).agg(value=Sum("quantity")).current().to_topic(output)


def declare_hopping() -> None:
    orders = app.topic(os.environ["BENCH_INPUT"], value_deserializer="json")
    output = app.topic(os.environ["BENCH_OUTPUT"], value_serializer="json")
    app.dataframe(orders).hopping_window(60_000, 10_000).agg(value=Sum("quantity")).current().to_topic(output)


def declare_enrich() -> None:
    def enriched(order: dict[str, Any], account: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": order["id"],
            "account": order["account"],
            "amount": order["amount"],
            "tier": account["tier"],
        }

    orders = app.topic(os.environ["BENCH_INPUT"], value_deserializer="json")
    accounts = app.topic(os.environ["BENCH_TABLE"], value_deserializer="json")
    output = app.topic(os.environ["BENCH_OUTPUT"], value_serializer="json")
    app.dataframe(orders).join_asof(app.dataframe(accounts), on_merge=enriched).to_topic(output)


{
    "filter": declare_filter,
    "count": declare_count,
    "tumbling": declare_tumbling,
    "hopping": declare_hopping,
    "enrich": declare_enrich,
}[sys.argv[1]]()

if __name__ == "__main__":
    app.run()
