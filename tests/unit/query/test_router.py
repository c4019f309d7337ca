"""Questions to another worker: which travel together, and that no failure is anything but an answer."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from streamz_actors.assignment.wire import Host
from streamz_actors.query import router as module
from streamz_actors.query.router import Router
from streamz_actors.query.wire import (
    ANSWERS,
    ASKS,
    CONTENT_TYPE,
    PAGE,
    TIME_LEFT,
    Answers,
    Ask,
    Asks,
    Page,
    Scan,
    Values,
)

Answering = Callable[[Asks], Awaitable[list[Values]]]


class Fake:
    """A worker's web server that notes what it is asked."""

    def __init__(self) -> None:
        self.requests: list[list[str]] = []
        """Of each request, the tables asked for: they tell questions apart."""
        self.headers: list[dict[str, str]] = []
        self.asked = asyncio.Event()
        self.holding = asyncio.Event()
        self.holding.set()
        self.response: web.Response | None = None
        self.host = Host("other", "")

    async def values(self, request: web.Request) -> web.Response:
        asks = ASKS.decode(await request.read())
        assert asks is not None
        self.requests.append([ask.table for ask in asks.asks])
        self.headers.append(dict(request.headers))
        self.asked.set()
        await self.holding.wait()
        if self.response is not None:
            return self.response
        return packed(Answers("other", [Values([[] for _ in ask.keys], why=ask.table) for ask in asks.asks]))

    async def entries(self, request: web.Request) -> web.Response:
        return self.response or web.Response(body=PAGE.encode(Page("other", frontier=b"k")))


def packed(answers: Answers) -> web.Response:
    return web.Response(body=ANSWERS.encode(answers), content_type=CONTENT_TYPE)


@asynccontextmanager
async def serving() -> AsyncIterator[Fake]:
    fake = Fake()
    application = web.Application()
    application.router.add_post("/v1/internal/values", fake.values)
    application.router.add_post("/v1/internal/entries", fake.entries)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.host = Host("other", f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield fake
    fake.holding.set()
    await runner.cleanup()


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    async with serving() as fake:
        yield fake


@pytest.fixture
async def router() -> AsyncIterator[Router]:
    router = Router("shop", {"Authorization": "Bearer s"})
    yield router
    await router.close()
    await router.close()


def soon(seconds: float = 5.0) -> float:
    return asyncio.get_running_loop().time() + seconds


def asking(router: Router, fake: Fake, name: str, keys: int = 1) -> "asyncio.Task[tuple[str, Values]]":
    return asyncio.create_task(router.values(fake.host, Ask(name, [b"k"] * keys), soon()))


async def test_what_comes_while_a_request_is_under_way_makes_up_the_next(router: Router, fake: Fake) -> None:
    fake.holding.clear()
    first = [asking(router, fake, "a"), asking(router, fake, "b")]
    await fake.asked.wait()
    second = [asking(router, fake, "c"), asking(router, fake, "d"), asking(router, fake, "e")]
    await asyncio.sleep(0)
    fake.holding.set()
    answers = await asyncio.gather(*first, *second)
    assert fake.requests == [["a", "b"], ["c", "d", "e"]]
    assert [(worker, values.why) for worker, values in answers] == [("other", name) for name in "abcde"]


async def test_a_request_holds_so_many_keys_and_no_more(
    router: Router, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOGETHER", 10)
    sizes = {"a": 4, "b": 6, "c": 30, "d": 1}
    await asyncio.gather(*(asking(router, fake, name, keys) for name, keys in sizes.items()))
    assert fake.requests == [["a", "b"], ["c"], ["d"]]


async def test_nobody_is_asked_for_what_nobody_waits_for_any_longer(router: Router, fake: Fake) -> None:
    fake.holding.clear()
    first = asking(router, fake, "a")
    await fake.asked.wait()
    given_up, wanted = asking(router, fake, "b"), asking(router, fake, "c")
    await asyncio.sleep(0)
    given_up.cancel()
    await asyncio.sleep(0)
    fake.holding.set()
    await asyncio.gather(first, wanted)
    assert fake.requests == [["a"], ["c"]]


async def test_requests_carry_the_credentials_and_the_time_left(router: Router, fake: Fake) -> None:
    await asking(router, fake, "a")
    (headers,) = fake.headers
    assert headers["Authorization"] == "Bearer s"
    assert 0 < int(headers[TIME_LEFT]) <= 5_000


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (web.Response(status=500), "answers 500"),
        (web.Response(status=307, headers={"Location": "http://127.0.0.1:1/"}), "answers 307"),
        (web.Response(body=b"\xc1"), "cannot be understood"),
        (packed(Answers("other", [])), "answers something else"),
        (packed(Answers("other", [Values([[], [], []])])), "answers something else"),
    ],
)
async def test_an_answer_that_is_none_is_a_reason(
    router: Router, fake: Fake, response: web.Response, why: str
) -> None:
    fake.response = response
    _, values = await asking(router, fake, "a")
    assert why in values.why
    assert (values.held, values.read) == ([], [])


async def test_who_is_not_there_is_a_reason_for_each_question(router: Router) -> None:
    nobody = Host("gone", "http://127.0.0.1:1")
    answers = await asyncio.gather(*(router.values(nobody, Ask("a", [b"k"]), soon()) for _ in range(3)))
    assert all("worker gone at http://127.0.0.1:1 does not answer" in values.why for _, values in answers)
    page = await router.page(nobody, Scan("shop", "t", [0], 10), soon())
    assert "does not answer" in page.why


async def test_a_deadline_that_passes_is_a_reason(router: Router, fake: Fake) -> None:
    fake.holding.clear()
    _, values = await router.values(fake.host, Ask("a", [b"k"]), soon(0.05))
    assert "did not answer in time" in values.why


async def test_pages_are_fetched_too(router: Router, fake: Fake) -> None:
    assert (await router.page(fake.host, Scan("shop", "t", [0], 10), soon())).frontier == b"k"


async def test_an_end_in_between_cancels_who_waits(fake: Fake) -> None:
    router = Router("shop", {})
    fake.holding.clear()
    under_way = asking(router, fake, "a")
    await fake.asked.wait()
    waiting = asking(router, fake, "b")
    await asyncio.sleep(0)
    await router.close()
    ends = await asyncio.gather(under_way, waiting, return_exceptions=True)
    assert all(isinstance(end, asyncio.CancelledError) for end in ends)


async def test_what_nobody_foresaw_reaches_who_asked(
    router: Router, fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ASKS", None)
    with pytest.raises(AttributeError):
        await asking(router, fake, "a")
