"""Tables over HTTP: page by page, from whoever can tell; and how they compare with the truth."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from apps.flights.check import differences, report
from apps.flights.models import RouteStats
from apps.flights.remote import Refused, Remote

Handler = Callable[[web.Request], web.Response]
NOBODY = "http://127.0.0.1:1"


@asynccontextmanager
async def worker(answer: Handler) -> AsyncIterator[str]:
    """The URL of something that answers everything so."""

    async def handle(request: web.Request) -> web.Response:
        return answer(request)

    application = web.Application()
    application.router.add_get("/{path:.*}", handle)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    try:
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


def two_pages(request: web.Request) -> web.Response:
    if "cursor" in request.query:
        assert request.query["cursor"] == "a/b="
        return web.json_response({"entries": [], "cursor": None})
    return web.json_response({"entries": [{"key": "EWR-IAH", "value": {"flights": 2}}], "cursor": "a/b="})


def moving(request: web.Request) -> web.Response:
    return web.json_response({"detail": "moving"}, status=503, headers={"Retry-After": "1"})


def strange(request: web.Request) -> web.Response:
    return web.Response(status=401, text="show a token")


async def test_a_table_is_read_to_its_last_page_from_the_first_that_can_tell(session: aiohttp.ClientSession) -> None:
    async with worker(moving) as first, worker(two_pages) as second:
        remote = Remote(session, lambda: [NOBODY, first, second])
        assert await remote.table("routes", RouteStats) == {"EWR-IAH": RouteStats(2)}


async def test_while_nobody_can_tell_there_is_no_table(session: aiohttp.ClientSession) -> None:
    async with worker(moving) as first:
        assert await Remote(session, lambda: [NOBODY, first]).table("routes", RouteStats) is None
        assert not await Remote(session, list).ready(first)
        assert not await Remote(session, list).holds(first, "routes", "EWR-IAH")


async def test_an_answer_that_will_not_change_is_an_error(session: aiohttp.ClientSession) -> None:
    async with worker(strange) as first:
        with pytest.raises(Refused, match="answers 401: show a token"):
            await Remote(session, lambda: [first]).table("routes", RouteStats)


def test_differences_name_the_key_and_both_values() -> None:
    found, wanted = {"a": 1, "b": 2, "d": 4}, {"a": 1, "b": 3, "c": 5}
    assert differences(found, wanted) == ["b: 2, not 3", "c: missing, not 5", "d: 4, not there at all"]


def test_a_report_says_what_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert report({"carriers": {"UA": 1}}, {"carriers": {"UA": 1}})
    assert "1 rows, 0 of them unlike the CSV files" in capsys.readouterr().out
    assert not report({"carriers": {"UA": 2}}, {"carriers": {"UA": 1}})
    assert "UA: 2, not 1" in capsys.readouterr().out
    assert not report({"carriers": None}, {"carriers": {"UA": 1}})
    assert "nobody can tell now" in capsys.readouterr().out
