"""`/v1/tables`: what tables there are, and what is in them."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from streamz_actors.errors import KeyMissing, UsageError
from streamz_actors.query.anywhere import Queries
from streamz_actors.query.found import Found
from streamz_actors.query.spans import Span
from streamz_actors.serde.models import Record
from streamz_actors.serde.plain import Json, reader
from streamz_actors.web.answers import json_answer, json_body, number, time_left
from streamz_actors.web.problems import Problem

LIMIT: Final = 100
MOST: Final = 1_000
"""Entries of a page, and keys of a query."""


class Query(Record, forbid_unknown_fields=True):
    """Many keys at once."""

    keys: list[Json]


class Tables:
    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/tables", self._list),
            web.get("/v1/tables/{table}", self._entries),
            web.get("/v1/tables/{table}/{key}", self._get),
            web.post("/v1/tables/{table}/query", self._query),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return json_answer({"tables": self._queries.local.tables()})

    async def _entries(self, request: web.Request) -> web.Response:
        table, asked = request.match_info["table"], request.query

        def key(name: str) -> Any:
            return self._queries.key(table, asked[name]) if name in asked else None

        refuse(request, "stale", "isolation")
        rows, cursor = await self._queries.entries(
            table,
            prefix=key("prefix"),
            start=key("from"),
            stop=key("to"),
            limit=number(request, "limit", LIMIT, 1, MOST),
            cursor=asked.get("cursor"),
            within=time_left(request),
        )
        return json_answer({"table": table, "entries": [_entry(row) for row in rows], "cursor": cursor})

    async def _get(self, request: web.Request) -> web.Response:
        place = request.match_info
        table, text = place["table"], place["key"]
        found = await self._queries.get_text(
            table,
            text,
            span=_span(request),
            stale=stale(request),
            committed=committed(request),
            within=time_left(request),
        )
        if found is None:
            raise KeyMissing(f"table {table!r} has no key {text!r}")
        shown = _windowed(found) if self._queries.holds_windows(table) else _found(found)
        return json_answer({"table": table, **shown})

    async def _query(self, request: web.Request) -> web.Response:
        table = request.match_info["table"]
        read = reader(self._queries.key_type(table), key=True)
        asked = Query.loads(await json_body(request))
        if len(asked.keys) > MOST:
            raise Problem(422, f"at most {MOST} keys at once, not {len(asked.keys)}", field="$.keys")
        keys = [read(bytes(key)) for key in asked.keys]
        answers = await self._queries.many(
            table, keys, stale=stale(request), committed=committed(request), within=time_left(request)
        )
        return json_answer(
            {
                "table": table,
                "entries": [_found(found) for found in answers if found is not None],
                "missing": [key for key, found in zip(keys, answers, strict=True) if found is None],
            }
        )


def stale(request: web.Request) -> bool:
    """Whether the last known value will do where the present one cannot be had."""
    if not request.query_string:
        return False
    text = request.query.get("stale", "false")
    if text not in ("true", "false"):
        raise UsageError(f"stale={text}: true or false is wanted")
    return text == "true"


def committed(request: web.Request) -> bool:
    """Whether what is not committed yet is to be left out."""
    text = request.query.get("isolation", "latest")
    if text not in ("latest", "committed"):
        raise UsageError(f"isolation={text}: latest or committed is wanted")
    return text == "committed"


def refuse(request: web.Request, *names: str) -> None:
    """An option that would change the answer is not passed over where there is no such thing."""
    for name in names:
        if name in request.query:
            raise UsageError(f"{name}={request.query[name]}: there is no {name} here in this version")


def _span(request: web.Request) -> Span | None:
    """The windows that are asked for by their starts; None where nothing is said of them."""
    asked = request.query
    if "window_from" not in asked and "window_to" not in asked:
        return None
    return _moment(asked, "window_from"), _moment(asked, "window_to")


def _moment(asked: Mapping[str, str], name: str) -> int | None:
    """Ms since the epoch."""
    text = asked.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{name}={text}: milliseconds since the epoch are wanted") from None


def _windowed(found: Found) -> dict[str, Any]:
    windows = [window._asdict() for window in found.value]
    return {"key": found.key, "windows": windows, "partition": found.partition, "worker": found.worker}


def _found(found: Found) -> dict[str, Any]:
    more = {"stale": True} if found.stale else {}
    return {**_entry(found), "partition": found.partition, "worker": found.worker, **more}


def _entry(found: Found) -> dict[str, Any]:
    value = "values" if found.gathered else "value"
    return {"key": found.key, value: found.value, "timestamp": found.timestamp}
