"""The server's own life: binding, its address, stopping."""

import socket
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.errors import ConfigError, NotRunning
from streamz_actors.web.pages import Page
from streamz_actors.web.server import WebServer
from streamz_actors.web.siblings import Siblings
from tests.unit.web.client import client


def server(*pages: Page, **settings: Any) -> WebServer:
    app = App("shop", **{"web_port": 0, **settings})
    app.table("totals", key_type=str)

    @app.agent(app.topic("orders"))
    async def watch(stream):  # type: ignore[no-untyped-def]
        async for event in stream:
            yield event

    running = app.worker()
    return WebServer(running.worker, running.queries, pages)


async def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as caught:
            await server(web_port=port).start()
    assert str(caught.value).startswith(f"cannot serve HTTP on 127.0.0.1:{port}: the port is in use; set web_port to")


async def test_an_address_that_is_none_of_this_machine_is_said() -> None:
    with pytest.raises(ConfigError, match=r"cannot serve HTTP on 192\.0\.2\.1:0: "):
        await server(web_host="192.0.2.1").start()


async def test_port_zero_takes_a_free_one_and_the_url_says_which() -> None:
    web = server()
    with pytest.raises(NotRunning):
        read_url(web)
    await web.start()
    async with client(web.url) as asking:
        assert (await asking.get("/livez")).status == 200
    assert web.url.startswith("http://127.0.0.1:")
    assert not web.url.endswith(":0")
    await web.stop()
    await web.stop()
    with pytest.raises(NotRunning):
        read_url(web)


def read_url(web: WebServer) -> str:
    return web.url


async def test_other_workers_are_told_the_advertised_url() -> None:
    web = server(web_advertised_url="https://orders-0.internal:8443/")
    await web.start()
    assert web.address == "https://orders-0.internal:8443"
    assert web.url.startswith("http://127.0.0.1:")
    await web.stop()
    plain = server()
    await plain.start()
    assert plain.address == plain.url
    await plain.stop()


async def test_of_an_advertised_url_that_siblings_share_each_has_a_port_of_its_own() -> None:
    app = App("shop", web_port=0, web_advertised_url="http://orders.internal:8080")
    with socket.create_server(("127.0.0.1", 0)) as shared:
        running = app.worker(siblings=Siblings(1, 2, [shared]))
        assert running.web is not None
        await running.web.start()
        own = running.web.url.rpartition(":")[2]
        assert running.web.address == f"http://orders.internal:{own}"
        await running.web.stop()


@pytest.mark.parametrize(
    ("host", "shown"), [("0.0.0.0", socket.gethostname()), ("localhost", "localhost"), ("127.0.0.1", "127.0.0.1")]
)
async def test_the_url_is_one_that_others_can_reach(host: str, shown: str) -> None:
    web = server(web_host=host)
    await web.start()
    assert web.url.startswith(f"http://{shown}:")
    await web.stop()


async def test_before_the_worker_runs_it_is_alive_and_not_ready() -> None:
    web = server()
    await web.start()
    async with client(web.url) as asking:
        live, ready, health = [await asking.get(path) for path in ("/livez", "/readyz", "/health")]
        topology = await asking.get("/v1/topology")
        produced = await asking.post("/v1/topics/orders", {"value": 1})
        question = await asking.post("/v1/agents/watch", {"value": 1})
        table = await asking.get("/v1/tables/totals/alice")
        metrics = await asking.get("/metrics")
    await web.stop()
    assert (live.status, topology.status, metrics.status) == (200, 200, 200)
    assert {ready.status, health.status, produced.status, question.status, table.status} == {503}
    assert ready.type == health.type == "application/problem+json"
    assert ready.json["detail"] == "the worker is starting: its global tables are not loaded yet"
    assert "Retry-After" in ready.headers


async def test_the_index_leads_to_the_other_pages() -> None:
    web = server(Page("/mine", lambda request: 1), Page("/of/{name}", lambda request, name: name))
    await web.start()
    async with client(web.url) as asking:
        index = await asking.get("/")
        assert index.type == "text/html"
        links = [part.partition('"')[0] for part in index.text.split('href="')[1:]]
        assert "/mine" in links
        statuses = {link: (await asking.get(link)).status for link in links}
    await web.stop()
    assert {link for link, status in statuses.items() if status != 200} == {"/readyz", "/health", "/v1/cluster"}


async def test_a_page_may_take_the_place_of_the_index() -> None:
    web = server(Page("/", lambda request: "mine"))
    await web.start()
    async with client(web.url) as asking:
        assert (await asking.get("/")).text == "mine"
    await web.stop()
