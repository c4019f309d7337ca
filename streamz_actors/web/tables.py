"""`/v1/tables`: what tables there are, and what is in them."""

from typing import Any, Final

from aiohttp import web

from streamz_actors.errors import KeyMissing
from streamz_actors.query.local import Found, LocalQueries
from streamz_actors.serde.models import Record
from streamz_actors.serde.plain import Json, reader
from streamz_actors.web.answers import json_answer, json_body, number
from streamz_actors.web.problems import Problem

LIMIT: Final = 100
MOST: Final = 1_000
"""Entries of a page, and keys of a query."""


class Query(Record, forbid_unknown_fields=True):
    """Many keys at once."""

    keys: list[Json]


class Tables:
    def __init__(self, queries: LocalQueries) -> None:
        self._queries = queries

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/tables", self._list),
            web.get("/v1/tables/{table}", self._entries),
            web.get("/v1/tables/{table}/{key}", self._get),
            web.post("/v1/tables/{table}/query", self._query),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return json_answer({"tables": self._queries.tables()})

    async def _entries(self, request: web.Request) -> web.Response:
        table, asked = request.match_info["table"], request.query

        def key(name: str) -> Any:
            return self._queries.key(table, asked[name]) if name in asked else None

        rows, cursor = self._queries.entries(
            table,
            prefix=key("prefix"),
            start=key("from"),
            stop=key("to"),
            limit=number(request, "limit", LIMIT, 1, MOST),
            cursor=asked.get("cursor"),
        )
        return json_answer({"table": table, "entries": [_entry(row) for row in rows], "cursor": cursor})

    async def _get(self, request: web.Request) -> web.Response:
        table, text = request.match_info["table"], request.match_info["key"]
        found = self._queries.get_text(table, text)
        if found is None:
            raise KeyMissing(f"table {table!r} has no key {text!r}")
        return json_answer({"table": table, **_found(found)})

    async def _query(self, request: web.Request) -> web.Response:
        table = request.match_info["table"]
        read = reader(self._queries.key_type(table), key=True)
        asked = Query.loads(await json_body(request))
        if len(asked.keys) > MOST:
            raise Problem(422, f"at most {MOST} keys at once, not {len(asked.keys)}", field="$.keys")
        keys = [read(bytes(key)) for key in asked.keys]
        answers = self._queries.many(table, keys)
        return json_answer(
            {
                "table": table,
                "entries": [_found(found) for found in answers if found is not None],
                "missing": [key for key, found in zip(keys, answers, strict=True) if found is None],
            }
        )


def _found(found: Found) -> dict[str, Any]:
    return {**_entry(found), "partition": found.partition, "worker": found.worker}


def _entry(found: Found) -> dict[str, Any]:
    value = "values" if found.gathered else "value"
    return {"key": found.key, value: found.value, "timestamp": found.timestamp}
