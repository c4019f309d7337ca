"""Every error is a problem document; only what is meant for the caller is in it."""

import logging
from collections.abc import AsyncIterator, Callable
from io import BytesIO

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from streamz_actors.errors import (
    AskFailed,
    ConfigError,
    DecodeError,
    EncodeError,
    KeyMissing,
    NotReady,
    NotRunning,
    ProduceError,
    TableUnknown,
    UsageError,
)
from streamz_actors.web.answers import json_answer, json_body, number
from streamz_actors.web.problems import Problem, problems
from tests.unit.web.client import Answer, Client, client

RAISED: dict[str, Callable[[], BaseException]] = {
    "table": lambda: TableUnknown("no table"),
    "key": lambda: KeyMissing("no key"),
    "decode": lambda: DecodeError("bad", field="$.a"),
    "encode": lambda: EncodeError("bad"),
    "moving": lambda: NotReady("moving", 7.4),
    "stopped": lambda: NotRunning("stopped"),
    "usage": lambda: UsageError("not so"),
    "asked": lambda: AskFailed("ValueError: no"),
    "slow": lambda: TimeoutError(),
    "broker": lambda: ProduceError("refused"),
    "own": lambda: Problem(418, "short and stout", spout="yes"),
    "config": lambda: ConfigError("secret"),
    "bug": lambda: RuntimeError("secret"),
    "gone": lambda: web.HTTPGone(text="it was here once"),
    "moved": lambda: web.HTTPFound("/elsewhere"),
}


@pytest.fixture
async def asking() -> AsyncIterator[Client]:
    async def fail(request: web.Request) -> web.Response:
        raise RAISED[request.match_info["what"]]()

    async def echo(request: web.Request) -> web.Response:
        return json_answer((await json_body(request)).decode())

    async def limited(request: web.Request) -> web.Response:
        return json_answer(number(request, "limit", 5, 1, 9))

    application = web.Application(middlewares=[problems])
    application.add_routes([web.get("/fail/{what}", fail), web.post("/echo", echo), web.get("/limited", limited)])
    async with TestServer(application) as server, client(str(server.make_url("/"))) as asking:
        yield asking


def check(answer: Answer, status: int, detail: str) -> None:
    assert answer.type == "application/problem+json"
    assert (answer.status, answer.json["status"], answer.json["type"]) == (status, status, "about:blank")
    assert detail in answer.json["detail"]
    assert answer.json["title"]


@pytest.mark.parametrize(
    ("what", "status", "detail"),
    [
        ("table", 404, "no table"),
        ("key", 404, "no key"),
        ("decode", 422, "bad"),
        ("encode", 422, "bad"),
        ("moving", 503, "moving"),
        ("stopped", 503, "stopped"),
        ("usage", 400, "not so"),
        ("asked", 502, "ValueError: no"),
        ("slow", 504, "TimeoutError"),
        ("broker", 503, "refused"),
        ("own", 418, "short and stout"),
        ("gone", 410, "it was here once"),
    ],
)
async def test_an_error_has_its_status_and_message(asking: Client, what: str, status: int, detail: str) -> None:
    check(await asking.get(f"/fail/{what}"), status, detail)


async def test_an_error_may_say_more(asking: Client) -> None:
    assert (await asking.get("/fail/decode")).json["field"] == "$.a"
    assert (await asking.get("/fail/own")).json["spout"] == "yes"
    assert (await asking.get("/fail/moving")).headers["Retry-After"] == "7"


@pytest.mark.parametrize("what", ["bug", "config"])
async def test_an_unforeseen_error_is_told_to_the_log_only(
    asking: Client, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "streamz_actors.web"):
        answer = await asking.get(f"/fail/{what}")
    check(answer, 500, "the worker's log says why")
    assert "secret" not in answer.text
    assert "secret" in caplog.text
    assert f"GET /fail/{what} failed" in caplog.text


async def test_what_is_not_there_and_what_is_not_offered(asking: Client) -> None:
    check(await asking.get("/nowhere"), 404, "there is nothing at /nowhere")
    refused = await asking.ask("DELETE", "/echo")
    check(refused, 405, "DELETE is not offered at /echo; POST is")
    assert refused.headers["Allow"] == "POST"


async def test_a_redirect_is_no_problem(asking: Client) -> None:
    answer = await asking.get("/fail/moved")
    assert (answer.status, answer.headers["Location"]) == (302, "/elsewhere")


async def test_a_body_that_does_not_say_it_is_json_is_refused(asking: Client) -> None:
    check(await asking.ask("POST", "/echo", data=b"{}"), 415, "Content-Type: application/json")
    assert (await asking.post("/echo", {"a": 1})).status == 200


async def test_a_body_that_is_too_large_is_refused(asking: Client) -> None:
    large = BytesIO(b" " * (1 << 20) + b"1")
    check(await asking.ask("POST", "/echo", data=large, headers={"Content-Type": "application/json"}), 413, "")


@pytest.mark.parametrize("limit", ["0", "10", "-1", "x", "", "1.5", "²"])
async def test_a_number_out_of_its_bounds_is_refused(asking: Client, limit: str) -> None:
    check(await asking.get(f"/limited?limit={limit}"), 400, "a whole number from 1 to 9")


async def test_a_number_has_a_default(asking: Client) -> None:
    assert [(await asking.get(path)).json for path in ("/limited", "/limited?limit=9")] == [5, 9]
