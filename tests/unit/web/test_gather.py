"""One answer out of several: pure merging, and two servers on one port that ask each other."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from streamz_actors import App
from streamz_actors.web import gather, siblings
from streamz_actors.web.listening import listen
from streamz_actors.web.server import WebServer
from streamz_actors.web.siblings import Said, Siblings, Silent
from tests.unit.web.client import Client, client

ABSENT = Silent("is not up", absent=True)
HUNG = Silent("does not answer within 3 s", absent=False)


def said(answered: int = 200, **document: Any) -> Said:
    return Said(answered, json.dumps(document).encode())


def body(response: web.Response) -> Any:
    assert isinstance(response.body, bytes)
    return json.loads(response.body)


def text(response: web.Response) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


# -- pure


def test_all_are_ready_when_each_is() -> None:
    answer = gather.ready({1: said(ready=True, reasons=[], spare=False), 2: said(ready=True, reasons=[], spare=True)})
    assert answer.status == 200
    assert body(answer) == {
        "ready": True,
        "reasons": [],
        "processes": {
            "1": {"ready": True, "reasons": [], "spare": False},
            "2": {"ready": True, "reasons": [], "spare": True},
        },
    }


def test_reasons_are_told_with_the_process_whose_they_are() -> None:
    waiting = said(503, title="Service Unavailable", status=503, detail="a; b", ready=False, reasons=["a", "b"])
    answer = gather.ready({1: said(ready=True, reasons=[]), 2: waiting, 3: HUNG, 4: ABSENT})
    assert (answer.status, answer.content_type) == (503, "application/problem+json")
    document = body(answer)
    assert document["reasons"] == [
        "process 2: a",
        "process 2: b",
        "process 3: does not answer within 3 s",
        "process 4: is not up",
    ]
    assert document["processes"]["2"] == {"ready": False, "reasons": ["a", "b"]}
    assert (document["processes"]["3"], document["processes"]["4"]) == (None, None)


def test_what_is_started_again_does_not_make_the_whole_dead() -> None:
    """Else whoever watches liveness ends all processes where one alone needs a start."""
    assert gather.live({1: said(live=True, reasons=[]), 2: ABSENT}).status == 200
    assert gather.live({1: said(live=True, reasons=[]), 2: HUNG}).status == 503
    assert gather.healthy({1: said(healthy=True, reasons=[]), 2: ABSENT}).status == 503


def test_an_answer_that_gives_no_reasons_is_one_by_its_status() -> None:
    answer = gather.healthy({1: said(healthy=True, reasons=[]), 2: said(401, title="Unauthorized", status=401)})
    assert body(answer)["reasons"] == ["process 2: answers 401"]


def test_agents_are_summed_and_who_is_missing_is_named() -> None:
    def rows(pending: int, lag: int | None) -> Said:
        return said(agents=[{"name": "add", "sources": ["orders"], "pending": pending, "lag": lag}])

    assert body(gather.agents({1: rows(2, 10), 2: rows(3, 5), 3: ABSENT})) == {
        "agents": [{"name": "add", "sources": ["orders"], "pending": 5, "lag": 15}],
        "missing": [3],
    }
    assert body(gather.agents({1: rows(2, 10), 2: rows(3, None)}))["agents"][0]["lag"] is None


def test_metrics_of_all_are_one_valid_scrape() -> None:
    own = '# HELP a_total A.\n# TYPE a_total counter\na_total{topic="x {y"} 1\n# HELP b B.\n# TYPE b gauge\nb 2\n'
    other = "# HELP b B.\n# TYPE b gauge\nb 3\n# HELP c C.\n# TYPE c gauge\nc 4\n"
    merged = text(gather.metrics({1: Said(200, own.encode()), 2: Said(200, other.encode()), 3: HUNG}))
    families = {family.name: family.samples for family in text_string_to_metric_families(merged)}
    found = {(s.name, tuple(s.labels.items())): s.value for samples in families.values() for s in samples}
    assert found == {
        ("streamz_process_answers", (("process", "1"),)): 1,
        ("streamz_process_answers", (("process", "2"),)): 1,
        ("streamz_process_answers", (("process", "3"),)): 0,
        ("a_total", (("process", "1"), ("topic", "x {y"))): 1,
        ("b", (("process", "1"),)): 2,
        ("b", (("process", "2"),)): 3,
        ("c", (("process", "2"),)): 4,
    }
    assert merged.count("# TYPE b gauge") == 1


# -- two servers


class Pair:
    """Two servers of workers that are not started, on one shared port; the client asks that port."""

    def __init__(self, servers: list[WebServer], seats: list[Siblings], url: str, shared: Client) -> None:
        self.servers, self.seats, self.url, self.shared = servers, seats, url, shared

    def introduce(self) -> None:
        for seat in self.seats:
            seat.addresses = {other.number: other.own for other in self.seats}


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    listeners = listen("127.0.0.1", 0)
    port = listeners[0].getsockname()[1]
    async with AsyncExitStack() as opened:
        seats, servers = [], []
        for number in (1, 2):
            app = App("shop", web_port=port)

            @app.agent(app.topic("orders"))
            async def watch(stream):  # type: ignore[no-untyped-def]
                async for event in stream:
                    yield event

            seat = Siblings(number, 2, [listeners[0].dup()])
            running = app.worker(siblings=seat)
            worker = running.worker
            assert worker.name.endswith(f"-{port}-{number}")
            server = WebServer(worker, running.queries, (), seat)
            await server.start()
            opened.push_async_callback(server.stop)
            seats.append(seat)
            servers.append(server)
        listeners[0].close()
        url = f"http://127.0.0.1:{port}"
        yield Pair(servers, seats, url, await opened.enter_async_context(client(url)))


async def test_the_shared_port_answers_for_all_and_the_private_one_for_itself(pair: Pair) -> None:
    pair.introduce()
    for path in gather.MERGES:
        answer = await pair.shared.get(path)
        both = '="2"' in answer.text and '="1"' in answer.text if path == "/metrics" else answer.json
        assert both
        if path in ("/livez", "/readyz", "/health"):
            assert set(answer.json["processes"]) == {"1", "2"}
            assert None not in answer.json["processes"].values()
    for server in pair.servers:
        async with client(server.url) as private:
            assert "processes" not in (await private.get("/readyz")).json
            assert "process=" not in (await private.get("/metrics")).text
            assert "missing" not in (await private.get("/v1/agents")).json
    ready = await pair.shared.get("/readyz")
    starting = "the worker is starting: its global tables are not loaded yet"
    assert ready.json["reasons"] == [f"process 1: {starting}", f"process 2: {starting}"]
    agents = (await pair.shared.get("/v1/agents")).json
    assert (agents["missing"], len(agents["agents"])) == ([], 1)


async def test_before_the_others_are_known_it_is_not_ready_but_alive(pair: Pair) -> None:
    for seat in pair.seats:
        seat.addresses = {1: "", 2: ""}
    assert (await pair.shared.get("/livez")).status == 200
    assert "is not up" in (await pair.shared.get("/readyz")).json["detail"]
    assert len((await pair.shared.get("/v1/agents")).json["missing"]) == 1


async def test_a_process_that_is_gone_or_hangs_is_named(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(siblings, "DEADLINE", 0.2)
    pair.introduce()
    gone, left = pair.servers
    await gone.stop()
    (reason,) = (await pair.shared.get("/livez")).json["reasons"]
    assert reason.startswith("process 1: does not answer: ")
    (hung,) = listen("127.0.0.1", 0)
    with hung:
        pair.seats[1].addresses = {1: f"http://127.0.0.1:{hung.getsockname()[1]}", 2: left.url}
        (reason,) = (await pair.shared.get("/livez")).json["reasons"]
    assert reason == "process 1: does not answer within 0.2 s"


async def test_what_has_left_the_shared_port_still_answers_by_its_own(pair: Pair) -> None:
    pair.introduce()
    await pair.seats[0].stop_accepting()
    await pair.seats[0].stop_accepting()
    for _ in range(3):
        async with client(pair.url) as fresh:
            assert (await fresh.get("/livez")).status == 200
    async with client(pair.servers[0].url) as private:
        assert (await private.get("/livez")).status == 200


def test_a_port_of_its_own_is_kept_unless_somebody_else_has_it_by_now() -> None:
    (before,) = listen("127.0.0.1", 0)
    port = before.getsockname()[1]
    again = Siblings(1, 2, [], port)
    (other,) = again.listen("127.0.0.1")
    before.close()
    (same,) = again.listen("127.0.0.1")
    assert (other.getsockname()[1] != port, same.getsockname()[1]) == (True, port)
    other.close()
    same.close()


async def test_the_permission_of_the_asker_is_shown_to_the_others(pair: Pair) -> None:
    seen: list[str | None] = []

    async def look(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({"agents": []})

    application = web.Application()
    application.add_routes([web.get("/v1/agents", look)])
    runner = web.AppRunner(application)
    await runner.setup()
    (sock,) = listen("127.0.0.1", 0)
    await web.SockSite(runner, sock).start()
    for seat in pair.seats:
        seat.addresses = {3 - seat.number: f"http://127.0.0.1:{sock.getsockname()[1]}"}
    await pair.shared.ask("GET", "/v1/agents", headers={"Authorization": "Bearer x"})
    await runner.cleanup()
    assert seen == ["Bearer x"]
