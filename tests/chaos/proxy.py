"""What stands between one worker and one broker: a TCP proxy that can be cut in three ways, and healed.

- `CLOSED`: connections are torn, new ones too, at once: a firewall that refuses, a host that has gone.
- `SILENT`: nothing passes in either direction, connections stay: a pulled cable. What was on its way arrives late, when
  the cut is healed, as TCP sends it again.
- `DEAF`: what the worker says arrives, answers don't; they are lost for good, the connections are torn when the cut is
  healed. So requests take effect, and the worker never hears of it.
"""

import asyncio
from enum import Enum
from types import TracebackType

CHUNK = 1 << 16


class Cut(Enum):
    OPEN = "open"
    CLOSED = "closed"
    SILENT = "silent"
    DEAF = "deaf"


class Proxy:
    """Use as `async with`; `to` is where it connects to, and may be set later."""

    def __init__(self, port: int, to: int = 0) -> None:
        self.port, self.to = port, to
        self._cut = Cut.OPEN
        self._passing = asyncio.Event()
        self._passing.set()
        self._ways: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    def cut(self, how: Cut) -> None:
        was, self._cut = self._cut, how
        if how is Cut.SILENT:
            self._passing.clear()
        else:
            self._passing.set()
        if how is Cut.CLOSED or was is Cut.DEAF:
            for way in self._ways:
                way.cancel()

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        ways = list(self._ways)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        await self._server.wait_closed()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = asyncio.ensure_future(self._serve(reader, writer))
        self._ways.add(way)
        way.add_done_callback(self._ways.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it or a cut tears it."""
        further: asyncio.StreamWriter | None = None
        try:
            if self._cut is Cut.CLOSED:
                return
            await self._passing.wait()
            answers, further = await asyncio.open_connection("127.0.0.1", self.to)
            ways = {
                asyncio.ensure_future(self._pass(reader, further, loses=False)),
                asyncio.ensure_future(self._pass(answers, writer, loses=True)),
            }
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            return  # the broker is not there: the worker sees its connection end
        except asyncio.CancelledError:
            return  # torn
        finally:
            for end in (writer, further):
                if end is not None:
                    end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, loses: bool) -> None:
        while chunk := await reader.read(CHUNK):
            await self._passing.wait()
            if loses and self._cut is Cut.DEAF:
                continue
            writer.write(chunk)
            await writer.drain()
