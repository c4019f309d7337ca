"""`/v1/internal`: what workers ask each other. Not for anybody else: it may change with any release."""

import asyncio
from typing import Any, Final

from aiohttp import web

from streamz_actors.query.anywhere import Queries
from streamz_actors.query.wire import ANSWERS, ASKS, CONTENT_TYPE, ENTRIES_PATH, PAGE, SCAN, VALUES_PATH
from streamz_actors.serde.schema import Schema
from streamz_actors.web.answers import time_left
from streamz_actors.web.problems import Problem

LARGEST: Final = 16 << 20
"""Bytes of a question. Those of many keys are larger than what people may post."""


class Internal:
    def __init__(self, app: str, queries: Queries) -> None:
        self._app, self._queries = app, queries

    def routes(self) -> list[web.RouteDef]:
        return [web.post(VALUES_PATH, self._values), web.post(ENTRIES_PATH, self._entries)]

    async def _values(self, request: web.Request) -> web.Response:
        asks = await self._asked(request, ASKS)
        async with asyncio.timeout(time_left(request)):
            return _answer(ANSWERS, await self._queries.answers(asks))

    async def _entries(self, request: web.Request) -> web.Response:
        scan = await self._asked(request, SCAN)
        return _answer(PAGE, self._queries.page(scan))

    async def _asked(self, request: web.Request, schema: Schema[Any]) -> Any:
        if request.content_type != CONTENT_TYPE:
            raise Problem(415, f"workers send {CONTENT_TYPE}")
        question: Any = schema.decode(await request.clone(client_max_size=LARGEST).read())
        if question.app != self._app:
            raise Problem(421, f"this is a worker of {self._app!r}, not of {question.app!r}")
        return question


def _answer(schema: Schema[Any], value: Any) -> web.Response:
    return web.Response(body=schema.encode(value), content_type=CONTENT_TYPE)
