"""W7 with Faust: a table of accounts from its changelog, and a page that shows one of them."""

import os

import faust

app = faust.App(
    os.environ["BENCH_GROUP"],
    broker=f"kafka://{os.environ['BENCH_BROKER']}",
    store="rocksdb://?driver=rocksdict",
    datadir=os.environ["BENCH_DIR"],
    topic_partitions=int(os.environ["BENCH_PARTITIONS"]),
    topic_allow_declare=False,
    topic_disable_leader=True,
    broker_commit_interval=float(os.environ["BENCH_COMMIT_INTERVAL"]),
    consumer_auto_offset_reset="earliest",
    web_bind="127.0.0.1",
    web_host="127.0.0.1",
    web_port=int(os.environ["STREAMZ_WEB_PORT"]),
)


class Account(faust.Record, serializer="json"):
    account: str
    name: str
    tier: str
    country: str
    since: int
    limit: float


accounts = app.topic(os.environ["BENCH_INPUT"], key_type=bytes, value_type=Account, key_serializer="raw")
rows = app.Table("rows", key_type=bytes, value_type=Account)  # keys of type str would be JSON in the changelog


@app.agent(accounts)
async def keep(stream: faust.Stream[Account]) -> None:
    async for key, account in stream.items():
        rows[key] = account


@app.page("/rows/{key}")
@app.table_route(table=rows, match_info="key")
async def row(web: faust.web.View, request: faust.web.Request, key: str) -> faust.web.Response:
    return web.json({"key": key, "value": rows[key.encode()]})


if __name__ == "__main__":
    app.main()
