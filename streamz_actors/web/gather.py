"""One answer out of the answers of all processes that share a port: health, metrics, agents."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from streamz_actors.telemetry.prometheus import CONTENT_TYPE, Exposition, merged
from streamz_actors.web.answers import json_answer
from streamz_actors.web.problems import problem_answer, retry_after
from streamz_actors.web.siblings import Part, Said, Siblings, Silent

Parts = Mapping[int, Part]
"""By process number, in order."""

LABEL: Final = "process"
PROBLEM: Final = ("type", "title", "status", "detail")
"""What a problem document has more than the same answer with status 200."""


def gathering(siblings: Siblings, routes: list[web.RouteDef]) -> list[web.RouteDef]:
    """The same routes, of which some answer for all processes when they are asked by the shared port."""
    return [
        web.route(route.method, route.path, _gathered(siblings, route.handler, MERGES[route.path]), **route.kwargs)
        if route.method == "GET" and route.path in MERGES
        else route
        for route in routes
    ]


def _gathered(siblings: Siblings, handler: Any, merge: Callable[[Parts], web.Response]) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        if not siblings.is_shared(request):
            own: web.StreamResponse = await handler(request)
            return own
        others = await siblings.ask(request)
        parts = {**others, siblings.number: _said(await handler(request))}
        return merge(dict(sorted(parts.items())))

    return handle


def _said(response: web.Response) -> Said:
    assert isinstance(response.body, bytes)
    return Said(response.status, response.body)


# -- health


def live(parts: Parts) -> web.Response:
    """A process that is not up does not count: that one is known about, and is being started again."""
    return _health("live", parts, {number: part for number, part in parts.items() if not _absent(part)})


def ready(parts: Parts) -> web.Response:
    return _health("ready", parts, parts)


def healthy(parts: Parts) -> web.Response:
    return _health("healthy", parts, parts)


def _health(name: str, parts: Parts, counted: Parts) -> web.Response:
    reasons = [f"process {number}: {reason}" for number, part in counted.items() for reason in _reasons(part)]
    processes = {str(number): None if isinstance(part, Silent) else _document(part) for number, part in parts.items()}
    said = {name: not reasons, "reasons": reasons, "processes": processes}
    if not reasons:
        return json_answer(said)
    return problem_answer(503, "; ".join(reasons), headers=retry_after(1.0), **said)


def _absent(part: Part) -> bool:
    return isinstance(part, Silent) and part.absent


def _reasons(part: Part) -> list[str]:
    if isinstance(part, Silent):
        return [part.reason]
    if part.status == 200:
        return []
    return _document(part).get("reasons") or [f"answers {part.status}"]


def _document(part: Said) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(part.body)
    return document if part.status == 200 else {name: it for name, it in document.items() if name not in PROBLEM}


# -- metrics


def metrics(parts: Parts) -> web.Response:
    """Every sample with the number of its process, and for each process whether it answered."""
    good = _good(parts)
    answered = [({LABEL: number}, number in good) for number in parts]
    answers = Exposition()
    answers.gauge("streamz_process_answers", "Whether a process that shares this port answered.", *answered)
    body = answers.text() + merged(LABEL, {str(number): said.body.decode() for number, said in good.items()})
    return web.Response(body=body.encode(), headers={"Content-Type": CONTENT_TYPE})


def _good(parts: Parts) -> dict[int, Said]:
    return {number: part for number, part in parts.items() if isinstance(part, Said) and part.status == 200}


# -- agents


def agents(parts: Parts) -> web.Response:
    """Counts are those of all processes that answered; `missing` names the others."""
    good = _good(parts)
    rows: dict[str, list[dict[str, Any]]] = {}
    for part in good.values():
        for row in _document(part)["agents"]:
            rows.setdefault(row["name"], []).append(row)
    missing = [number for number in parts if number not in good]
    return json_answer({"agents": [_agent(same) for same in rows.values()], "missing": missing})


def _agent(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """`lag` is None as soon as one process does not know its own: a part of it would look like good news."""
    lags = [row["lag"] for row in rows]
    return rows[0] | {
        "pending": sum(row["pending"] for row in rows),
        "lag": None if None in lags else sum(lags),
    }


MERGES: Final[Mapping[str, Callable[[Parts], web.Response]]] = {
    "/livez": live,
    "/readyz": ready,
    "/health": healthy,
    "/metrics": metrics,
    "/v1/agents": agents,
}
"""What is gathered, by path."""
