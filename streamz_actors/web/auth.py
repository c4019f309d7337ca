"""Who may ask: with the setting `web_token`, whoever shows it; without, everybody who reaches the port."""

from hmac import compare_digest
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from streamz_actors.web.problems import Problem

OPEN: Final = frozenset({"/livez", "/readyz", "/health"})
"""Asked by whoever keeps the process running, which seldom can show anything."""


def guard(token: str | None) -> list[Middleware]:
    """The middleware that lets nobody else through; none without a token."""
    if token is None:
        return []
    wanted = token.encode()

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in OPEN:
            _check(request.headers.get("Authorization", ""), wanted)
        return await handler(request)

    return [guarded]


def _check(shown: str, wanted: bytes) -> None:
    scheme, _, token = shown.partition(" ")
    if not token:
        raise Problem(401, "show the token: Authorization: Bearer ...", headers={"WWW-Authenticate": "Bearer"})
    right = compare_digest(token.strip().encode(errors="surrogateescape"), wanted)
    if scheme.lower() != "bearer" or not right:
        refused = {"WWW-Authenticate": 'Bearer error="invalid_token"'}
        raise Problem(401, "this is not the token of the setting web_token", headers=refused)
