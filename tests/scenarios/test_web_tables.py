"""Tables over HTTP, asked of a running application."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from streamz_actors import App, Record
from tests.unit.web.client import Client, client


class Order(Record):
    account: str
    amount: float


class Seen(Record):
    last: float
    amounts: set[float] = set()


@pytest.fixture
async def asking() -> AsyncIterator[Client]:
    """An application that has handled orders of alice, bob and the account `a/b c`."""
    app = App("shop", web_port=0, topic_partitions=3)
    orders = app.topic("orders", key_type=str, value_type=Order)
    rates = app.topic("rates", key_type=str, value_type=float, compacting=True)
    app.global_table(rates)
    seen = app.table("seen", key_type=str, value_type=Seen)
    tags = app.set_table("tags", key_type=str, value_type=float)
    by_amount = app.table("by_amount", key_type=int, value_type=str, per_partition=True)

    @app.agent(orders)
    async def watch(stream):  # type: ignore[no-untyped-def]
        async for order in stream:
            before = seen.get(order.account, Seen(0.0))
            seen[order.account] = Seen(order.amount, before.amounts | {order.amount})
            tags[order.account].add(order.amount)
            by_amount[int(order.amount)] = order.account
            yield seen[order.account].last

    async with app.running() as running:
        assert running.web is not None
        for account, amount in (("alice", 5.0), ("bob", 7.0), ("a/b c", 9.0), ("alice", 2.0)):
            await watch.ask(Order(account, amount), key=account)
        async with client(running.web.url) as asking:
            yield asking


def entries(answer: Any) -> list[tuple[Any, Any]]:
    return [(entry["key"], entry["value"]) for entry in answer["entries"]]


async def test_one_key(asking: Client) -> None:
    answer = await asking.get("/v1/tables/seen/alice")
    assert (answer.status, answer.type) == (200, "application/json")
    assert list(answer.json) == ["table", "key", "value", "timestamp", "partition", "worker"]
    assert (answer.json["table"], answer.json["key"]) == ("seen", "alice")
    assert answer.json["value"] == {"last": 2.0, "amounts": [2.0, 5.0]}
    assert isinstance(answer.json["timestamp"], int)
    assert answer.json["partition"] in (0, 1, 2)


async def test_a_key_with_anything_in_it(asking: Client) -> None:
    answer = await asking.get(f"/v1/tables/seen/{quote('a/b c', safe='')}")
    assert (answer.json["key"], answer.json["value"]["last"]) == ("a/b c", 9.0)


async def test_a_set_table(asking: Client) -> None:
    assert (await asking.get("/v1/tables/tags/alice")).json["value"] == [2.0, 5.0]


async def test_a_table_with_a_value_per_partition(asking: Client) -> None:
    answer = (await asking.get("/v1/tables/by_amount/5")).json
    assert list(answer) == ["table", "key", "values", "timestamp", "partition", "worker"]
    assert answer["key"] == 5
    assert list(answer["values"].values()) == ["alice"]
    listed = (await asking.get("/v1/tables/by_amount?from=6&to=9")).json["entries"]
    assert [(entry["key"], list(entry["values"].values())) for entry in listed] == [(7, ["bob"])]


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        ("/v1/tables/seen/nobody", 404, "table 'seen' has no key 'nobody'"),
        ("/v1/tables/nope/alice", 404, "there is no table 'nope'"),
        ("/v1/tables/nope", 404, "there is no table 'nope'"),
        ("/v1/tables/by_amount/alice", 422, "'alice' is no key of table 'by_amount' (int)"),
        ("/v1/tables/by_amount?prefix=1", 400, "they have no prefix"),
        ("/v1/tables/seen?limit=0", 400, "from 1 to 1000"),
        ("/v1/tables/seen?cursor=x", 400, "'x' is no cursor"),
    ],
)
async def test_what_cannot_be_answered(asking: Client, path: str, status: int, detail: str) -> None:
    answer = await asking.get(path)
    assert (answer.status, answer.type) == (status, "application/problem+json")
    assert detail in answer.json["detail"]


async def test_a_listing_goes_on_with_its_cursor(asking: Client) -> None:
    first = (await asking.get("/v1/tables/tags?limit=2")).json
    assert list(first) == ["table", "entries", "cursor"]
    assert entries(first) == [("a/b c", [9.0]), ("alice", [2.0, 5.0])]
    second = (await asking.get(f"/v1/tables/tags?limit=2&cursor={first['cursor']}")).json
    assert entries(second) == [("bob", [7.0])]
    assert second["cursor"] is None


async def test_a_listing_by_prefix_and_range(asking: Client) -> None:
    keys = [key for key, _ in entries((await asking.get("/v1/tables/tags?prefix=a")).json)]
    assert keys == ["a/b c", "alice"]
    keys = [key for key, _ in entries((await asking.get("/v1/tables/tags?from=alice&to=bob")).json)]
    assert keys == ["alice"]


async def test_many_keys_at_once(asking: Client) -> None:
    answer = await asking.post("/v1/tables/tags/query", {"keys": ["bob", "nobody", "alice"]})
    assert entries(answer.json) == [("bob", [7.0]), ("alice", [2.0, 5.0])]
    assert answer.json["missing"] == ["nobody"]
    typed = await asking.post("/v1/tables/by_amount/query", {"keys": [7, 8]})
    assert ([entry["key"] for entry in typed.json["entries"]], typed.json["missing"]) == ([7], [8])


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ({"keys": ["x"]}, 422, "int"),
        ({"keys": 3}, 422, "$.keys"),
        ({}, 422, "keys"),
        ({"keys": [None]}, 400, "None is no key"),
        ({"keys": [1] * 1001}, 422, "at most 1000 keys"),
    ],
)
async def test_many_keys_that_cannot_be_asked_for(asking: Client, body: object, status: int, detail: str) -> None:
    answer = await asking.post("/v1/tables/by_amount/query", body)
    assert answer.status == status
    assert detail in answer.json["detail"]


async def test_the_tables_there_are(asking: Client) -> None:
    tables = {table["name"]: table for table in (await asking.get("/v1/tables")).json["tables"]}
    assert list(tables) == ["by_amount", "rates", "seen", "tags"]
    assert (tables["seen"]["key_type"], tables["seen"]["value_type"]) == ("str", "Seen")
    assert (tables["seen"]["partitions"], tables["seen"]["here"]) == (3, [0, 1, 2])
    assert tables["rates"]["kind"] == "global"


async def test_the_topology(asking: Client) -> None:
    assert (await asking.get("/v1/topology")).json["app_id"] == "shop"
    assert (await asking.get("/v1/topology.mmd")).text.startswith("flowchart")


@pytest.mark.parametrize("path", ["/v1/topology.svg", "/openapi.json", "/docs"])
async def test_what_is_not_built_yet_is_not_there(asking: Client, path: str) -> None:
    assert (await asking.get(path)).status == 404
