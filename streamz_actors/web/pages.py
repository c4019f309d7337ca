"""User pages: functions of a request that answer with whatever they like."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from streamz_actors.errors import ConfigError
from streamz_actors.web.answers import json_answer

OURS: Final = ("/v1", "/metrics", "/livez", "/readyz", "/health")
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@dataclass(frozen=True, slots=True)
class Page:
    """`handler(request, **parameters)`, sync or async; the parameters are those that `path` names in braces.

    It may return a dict, a list, a model or another value (JSON), text, bytes, None (204), or an aiohttp response.
    Raises ConfigError for a path that is none, is the server's own, or doesn't fit the function.
    """

    path: str
    handler: Callable[..., Any]
    methods: tuple[str, ...] = ("GET",)

    def __post_init__(self) -> None:
        if not self.path.startswith("/"):
            raise ConfigError(f"page {self.path!r}: a path begins with a slash")
        if any(self.path == own or self.path.startswith(f"{own}/") for own in OURS):
            raise ConfigError(f"page {self.path!r}: {', '.join(OURS)} and what is below belong to the server")
        if not self.methods or not METHODS.issuperset(self.methods):
            raise ConfigError(f"page {self.path!r}: methods={self.methods!r} must be among {sorted(METHODS)}")
        self._check_parameters()

    @property
    def plain(self) -> bool:
        """Whether a browser can follow it as it is: no parameters, and something to get."""
        return "{" not in self.path and "GET" in self.methods

    def _check_parameters(self) -> None:
        name = getattr(self.handler, "__name__", repr(self.handler))
        try:
            pattern = web.UrlDispatcher().add_resource(self.path).get_info().get("pattern")
        except ValueError as error:
            raise ConfigError(f"page {self.path!r}: {error}") from error
        parameters = list(pattern.groupindex) if pattern is not None else []
        try:
            inspect.signature(self.handler).bind(None, **dict.fromkeys(parameters))
        except TypeError as error:
            wanted = ", ".join(["request", *parameters])
            raise ConfigError(f"page {self.path!r} calls {name}({wanted}), which does not fit it: {error}") from error


def routes(pages: tuple[Page, ...]) -> list[web.RouteDef]:
    return [web.route(method, page.path, _answering(page)) for page in pages for method in page.methods]


def _answering(page: Page) -> Callable[[web.Request], Any]:
    async def handle(request: web.Request) -> web.StreamResponse:
        value = page.handler(request, **request.match_info)
        if inspect.isawaitable(value):
            value = await value
        return answer(value)

    return handle


def answer(value: Any) -> web.StreamResponse:
    """The response that a page's return value stands for."""
    if isinstance(value, web.StreamResponse):
        return value
    if value is None:
        return web.Response(status=204)
    if isinstance(value, str):
        return web.Response(text=value)
    if isinstance(value, bytes):
        return web.Response(body=value)
    return json_answer(value)
