"""Agents, topics, pages, health and metrics over HTTP, on a running application."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from streamz_actors import App, DeadLetter, Record
from streamz_actors.running import Running
from streamz_actors.types import TopicPartition
from tests.unit.web.client import Client, client


class Order(Record):
    account: str
    amount: float


def shop(**settings: Any) -> App:
    app = App("shop", web_port=0, topic_partitions=2, commit_interval=0.05, **settings)
    app.topic("marks", key_type=str, value_type=Order)
    orders = app.topic("orders", key_type=str, value_type=Order)
    totals = app.table("totals", key_type=str, value_type=float, default=float)

    @app.agent(orders, concurrency=2, on_error=DeadLetter())
    async def watch(stream):  # type: ignore[no-untyped-def]
        async for order in stream:
            if order.amount < 0:
                raise ValueError("a negative amount")
            totals[order.account] += order.amount
            yield {"account": order.account, "total": totals[order.account]}

    @app.page("/accounts/{account}/total")
    async def total(request: web.Request, account: str) -> dict[str, Any]:
        return {"account": account, "total": await totals.lookup(account)}

    further_agents(app, orders)
    further_pages(app)
    return app


def further_agents(app: App, orders: Any) -> None:
    @app.agent(app.channel(value_type=Order, name="jobs"))
    async def work(stream):  # type: ignore[no-untyped-def]
        async for job in stream:
            yield job.amount * 2

    @app.agent(app.stream(orders).filter(lambda key, order: order.amount > 100))
    async def large(stream):  # type: ignore[no-untyped-def]
        async for _ in stream:
            pass

    @app.agent(app.topic("binary", key_type=bytes, value_type=bytes))
    async def echo(stream):  # type: ignore[no-untyped-def]
        async for event in stream.events():
            yield event.key.hex(), event.value.hex()

    freed = asyncio.Event()

    @app.agent(app.topic("slow", value_type=int))
    async def slow(stream):  # type: ignore[no-untyped-def]
        async for _ in stream:
            await freed.wait()
            yield 0

    @app.page("/free")
    def free(request: web.Request) -> None:
        freed.set()


def further_pages(app: App) -> None:
    @app.page("/hello")
    def hello(request: web.Request) -> str:
        return "hello"

    @app.page("/forms", methods=("POST", "PUT"))
    async def forms(request: web.Request) -> web.Response:
        return web.Response(status=201, text=await request.text())

    @app.page("/broken")
    async def broken(request: web.Request) -> None:
        raise RuntimeError("secret")


@asynccontextmanager
async def serving(app: App, **overrides: Any) -> AsyncIterator[tuple[Client, Running]]:
    async with app.running(**overrides) as running:
        assert running.web is not None
        async with client(running.web.url) as asking:
            yield asking, running


@pytest.fixture
async def asking() -> AsyncIterator[Client]:
    async with serving(shop()) as (asking, _):
        yield asking
        await asking.get("/free")  # or the end would wait for the slow agent


async def test_an_agent_is_asked(asking: Client) -> None:
    body = {"value": {"account": "alice", "amount": 5}, "key": "alice", "timeout": 20}
    first, second = await asking.post("/v1/agents/watch", body), await asking.post("/v1/agents/watch", body)
    assert first.json == {"agent": "watch", "value": {"account": "alice", "total": 5.0}}
    assert second.json["value"]["total"] == 10.0


async def test_an_agent_on_a_channel_is_asked_with_typed_values(asking: Client) -> None:
    answer = await asking.post("/v1/agents/work", {"value": {"account": "alice", "amount": 5}})
    assert answer.json == {"agent": "work", "value": 10.0}


@pytest.mark.parametrize(
    ("agent", "body", "status", "detail"),
    [
        ("nobody", {"value": 1}, 404, "no agent 'nobody'; agents: watch, work, large, echo, slow"),
        ("watch", {"value": {"account": "alice"}}, 422, "amount"),
        ("watch", {}, 422, "value"),
        ("watch", {"value": None, "timeout": 0}, 422, "timeout 0"),
        ("watch", {"value": None, "timeout": 1000}, 422, "at most 300"),
        ("watch", {"valu": 1}, 422, "valu"),
        ("watch", {"value": {"account": "alice", "amount": -1}, "key": "a"}, 502, "ValueError: a negative amount"),
        ("large", {"value": 1}, 400, "a derived stream"),
        ("slow", {"value": 1, "timeout": 0.01}, 504, "did not answer within 0.01 s"),
    ],
)
async def test_an_agent_that_cannot_answer(
    asking: Client, agent: str, body: object, status: int, detail: str
) -> None:
    answer = await asking.post(f"/v1/agents/{agent}", body)
    assert (answer.status, answer.type) == (status, "application/problem+json")
    assert detail in answer.json["detail"]


async def test_agents_are_listed_with_what_they_have_to_do(asking: Client) -> None:
    await asking.post("/v1/agents/slow", {"value": 1, "timeout": 0.01})
    agents = {agent["name"]: agent for agent in (await asking.get("/v1/agents")).json["agents"]}
    assert agents["watch"] == {"name": "watch", "sources": ["orders"], "concurrency": 2, "pending": 0, "lag": 0}
    assert agents["large"]["sources"] == ["orders"]
    assert agents["slow"]["pending"] == 1
    assert agents["slow"]["lag"] == 1
    assert agents["work"]["sources"] == ["jobs"]
    assert agents["work"]["lag"] is None


async def test_a_record_is_produced_and_handled(asking: Client) -> None:
    order = {"key": "alice", "value": {"account": "alice", "amount": 5}, "timestamp": 1_000, "partition": 1}
    answer = await asking.post("/v1/topics/orders", order)
    assert answer.json == {"topic": "orders", "partition": 1, "offset": 0, "timestamp": 1_000}


async def test_a_list_of_records_is_produced_in_order(asking: Client) -> None:
    mark = {"key": "alice", "value": {"account": "alice", "amount": 5}, "partition": 0}
    answer = await asking.post("/v1/topics/marks", [mark, mark, {"key": "alice", "value": None, "partition": 1}])
    assert [(sent["partition"], sent["offset"]) for sent in answer.json] == [(0, 0), (0, 1), (1, 0)]
    assert (await asking.post("/v1/topics/marks", [])).json == []


async def test_bytes_are_base64(asking: Client) -> None:
    answer = await asking.post("/v1/agents/echo", {"key": "AP8=", "value": "AQI="})
    assert answer.json["value"] == ["00ff", "0102"]


async def test_headers_and_timestamp_go_with_the_record() -> None:
    async with serving(shop()) as (asking, running):
        mark = {"key": "k", "value": None, "headers": {"trace": "t-1"}, "timestamp": 7, "partition": 0}
        await asking.post("/v1/topics/marks", mark)
        reader = running.worker.transport.reader()
        await reader.start()
        reader.assign({TopicPartition("marks", 0): 0})
        (batch,) = await reader.poll(5)
        await reader.stop()
    assert (batch.keys, batch.values, batch.timestamps) == ([b"k"], [None], [7])
    assert batch.headers == [(("trace", b"t-1"),)]


GOOD = {"key": "alice", "value": {"account": "alice", "amount": 5}}


@pytest.mark.parametrize(
    ("topic", "body", "status", "field"),
    [
        ("orders", {"value": {"account": "alice"}}, 422, "$.value.amount"),
        ("orders", {"value": {"account": "alice", "amount": "5"}}, 422, "$.value.amount"),
        ("orders", {**GOOD, "key": 5}, 422, "$.key"),
        ("orders", {**GOOD, "partition": 2}, 422, "$.partition"),
        ("orders", {**GOOD, "headers": {"a": 1}}, 422, "$.headers[...]"),
        ("orders", [GOOD, {"value": 3}], 422, "$[1].value"),
        ("orders", {"key": "alice"}, 422, "$.value"),
        ("binary", {"value": "?"}, 422, "$.value"),
        ("nope", GOOD, 404, None),
        ("shop-totals-changelog", GOOD, 403, None),
    ],
)
async def test_a_record_that_is_not_taken(
    asking: Client, topic: str, body: object, status: int, field: str | None
) -> None:
    answer = await asking.post(f"/v1/topics/{topic}", body)
    assert (answer.status, answer.type) == (status, "application/problem+json")
    assert answer.json.get("field") == field


async def test_nothing_of_a_list_is_sent_if_one_record_is_bad(asking: Client) -> None:
    assert (await asking.post("/v1/topics/orders", [GOOD, {"value": 3}])).status == 422
    assert (await asking.post("/v1/topics/orders", GOOD)).json["offset"] == 0


async def test_producing_can_be_off() -> None:
    async with serving(shop(web_produce=False)) as (asking, _):
        answer = await asking.post("/v1/topics/orders", GOOD)
        assert answer.status == 403
        assert "web_produce" in answer.json["detail"]


async def test_a_page_sees_tables(asking: Client) -> None:
    await asking.post("/v1/agents/watch", GOOD)
    assert (await asking.get("/accounts/alice/total")).json == {"account": "alice", "total": 5.0}


async def test_pages_of_other_kinds(asking: Client) -> None:
    assert (await asking.get("/hello")).text == "hello"
    form = await asking.ask("PUT", "/forms", data="x")
    assert (form.status, form.text) == (201, "x")
    assert (await asking.get("/forms")).status == 405


async def test_a_page_that_fails_is_a_problem_and_a_line_in_the_log(
    asking: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "streamz_actors.web"):
        answer = await asking.get("/broken")
    assert (answer.status, answer.type) == (500, "application/problem+json")
    assert "RuntimeError: secret" in caplog.text


async def test_a_running_worker_is_alive_and_ready(asking: Client) -> None:
    live, ready, health = [await asking.get(path) for path in ("/livez", "/readyz", "/health")]
    assert (live.status, ready.status, health.status) == (200, 200, 200)
    assert live.json["live"] is ready.json["ready"] is health.json["healthy"] is True
    assert ready.json["tasks"]["waiting"] == 0


def samples(text: str) -> dict[tuple[str, ...], float]:
    """By name and label values."""
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_metrics_say_what_the_worker_has_done() -> None:
    async with serving(shop()) as (asking, running):
        await asking.post("/v1/agents/watch", GOOD)
        bad = {"key": "alice", "value": {"account": "alice", "amount": -1}}
        assert (await asking.post("/v1/agents/watch", bad)).status == 502
        await running.worker.commit()
        answer = await asking.get("/metrics")
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        found = samples(answer.text)
        place = str(next(place.partition for place in running.worker.committed if place.topic == "orders"))
    assert found["streamz_worker_status", "running"] == 1
    assert (found["streamz_ready",], found["streamz_spare",]) == (1, 0)
    assert found["streamz_records_in_total", "orders"] == 2
    assert found["streamz_records_out_total", "shop-totals-changelog"] == 1
    assert (found["streamz_records_failed_total",], found["streamz_dead_letters_total",]) == (1, 1)
    assert found["streamz_committed_offset", "orders", place] == 2
    assert found["streamz_lag_records", "orders", place] == 0
    assert found["streamz_agent_pending_records", "watch"] == 0
    assert found["streamz_table_entries", "totals"] == 1
    assert found["streamz_broker_answers",] == 1
    assert found["streamz_commits_total",] >= 1
    assert found["streamz_process_cpu_seconds_total",] > 0
    assert {name for name, *_ in found if not name.startswith("streamz_")} == set()
