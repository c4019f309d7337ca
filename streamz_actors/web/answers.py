"""JSON in and out of requests."""

from typing import Any, TypeVar

from aiohttp import web

from streamz_actors.errors import UsageError
from streamz_actors.query.anywhere import DEADLINE
from streamz_actors.query.wire import TIME_LEFT
from streamz_actors.serde.models import Record
from streamz_actors.serde.plain import to_json
from streamz_actors.web.problems import Problem

R = TypeVar("R", bound=Record)


def json_answer(value: Any, *, status: int = 200) -> web.Response:
    return web.Response(body=to_json(value), status=status, content_type="application/json")


async def json_body(request: web.Request) -> bytes:
    """The body of a request that says it is JSON.

    Only such: a browser sends that to another site's server (this one, on its user's machine) only if it is allowed to.
    """
    if request.content_type != "application/json":
        raise Problem(415, "send JSON, with the header Content-Type: application/json (curl --json does)")
    return await request.read()


def time_left(request: web.Request) -> float:
    """Seconds in which to answer: what the asker says that it will wait, at most the usual."""
    text = request.headers.get(TIME_LEFT)
    if text is None:
        return DEADLINE
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{TIME_LEFT}: {text}: whole milliseconds are wanted")
    return min(DEADLINE, int(text) / 1000)


def number(request: web.Request, name: str, default: int, least: int, most: int) -> int:
    """A whole number out of the query string."""
    text = request.query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise UsageError(f"{name}={text}: a whole number from {least} to {most} is wanted")
    return int(text)
