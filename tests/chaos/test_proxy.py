"""The ways in which a proxy is cut, and what is left of a connection afterwards."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.chaos.proxy import Cut, Proxy

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """A server that answers what it hears, and knows what it heard."""

    def __init__(self) -> None:
        self.heard = b""
        self.hearing = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(100):
            self.heard += chunk
            self.hearing.set()
            writer.write(chunk)
        writer.close()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
async def proxy(echo: Echo) -> AsyncIterator[Proxy]:
    server = await asyncio.start_server(echo.serve, "127.0.0.1", 0)
    async with Proxy(0, server.sockets[0].getsockname()[1]) as proxy:
        yield proxy
    server.close()
    await server.wait_closed()


async def connect(proxy: Proxy) -> Streams:
    return await asyncio.open_connection("127.0.0.1", proxy.port)


async def says(streams: Streams, word: bytes) -> bytes:
    reader, writer = streams
    writer.write(word)
    return await reader.read(100)


async def end(streams: Streams) -> None:
    streams[1].transport.abort()
    await asyncio.gather(streams[1].wait_closed(), return_exceptions=True)


async def test_what_is_said_passes_in_both_directions(proxy: Proxy) -> None:
    streams = await connect(proxy)
    assert await says(streams, b"one") == b"one"
    assert await says(streams, b"two") == b"two"
    await end(streams)


async def test_closed_tears_connections_and_new_ones_until_it_is_healed(proxy: Proxy, echo: Echo) -> None:
    streams = await connect(proxy)
    assert await says(streams, b"one") == b"one"
    proxy.cut(Cut.CLOSED)
    assert await torn(streams)
    fresh = await connect(proxy)
    assert await torn(fresh)
    proxy.cut(Cut.OPEN)
    healed = await connect(proxy)
    assert await says(healed, b"two") == b"two"
    assert echo.heard == b"onetwo"
    for each in (streams, fresh, healed):
        await end(each)


async def test_silent_keeps_connections_and_what_is_said_for_later(proxy: Proxy, echo: Echo) -> None:
    streams = await connect(proxy)
    assert await says(streams, b"one") == b"one"
    proxy.cut(Cut.SILENT)
    answer = asyncio.create_task(says(streams, b"two"))
    await asyncio.wait({answer}, timeout=0.1)
    assert (answer.done(), echo.heard) == (False, b"one")
    proxy.cut(Cut.OPEN)
    assert await answer == b"two"
    await end(streams)


async def test_deaf_lets_requests_through_and_loses_the_answers(proxy: Proxy, echo: Echo) -> None:
    streams = await connect(proxy)
    assert await says(streams, b"one") == b"one"
    echo.hearing.clear()
    proxy.cut(Cut.DEAF)
    streams[1].write(b"two")
    await echo.hearing.wait()
    assert echo.heard == b"onetwo"
    proxy.cut(Cut.OPEN)
    assert await torn(streams)
    await end(streams)


async def test_a_server_that_is_not_there_ends_the_connection(proxy: Proxy) -> None:
    proxy.to = 1
    streams = await connect(proxy)
    assert await torn(streams)
    await end(streams)


async def torn(streams: Streams) -> bool:
    """Whether the connection ends without another word."""
    try:
        return await streams[0].read(100) == b""
    except ConnectionError:
        return True
