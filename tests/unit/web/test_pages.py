"""User pages: what may be declared, and what their functions may return."""

from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from streamz_actors import Record
from streamz_actors.errors import ConfigError
from streamz_actors.web.pages import Page, answer


def total(request: web.Request, account: str = "") -> None: ...


@pytest.mark.parametrize(
    ("path", "methods", "why"),
    [
        ("accounts", ("GET",), "begins with a slash"),
        ("/v1/mine", ("GET",), "belong to the server"),
        ("/metrics", ("GET",), "belong to the server"),
        ("/a/{account", ("GET",), "Invalid path"),
        ("/a/{account:[}", ("GET",), "Bad pattern"),
        ("/a", ("FETCH",), "methods"),
        ("/a", (), "methods"),
        ("/a/{other}", ("GET",), r"calls total\(request, other\), which does not fit"),
    ],
)
def test_a_page_that_cannot_be_served_is_refused_when_it_is_declared(
    path: str, methods: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        Page(path, total, methods)


def test_a_function_that_lacks_a_parameter_is_refused() -> None:
    with pytest.raises(ConfigError, match="too many positional arguments"):
        Page("/a", lambda: None)


@pytest.mark.parametrize("path", ["/", "/a", "/a/{account}", r"/a/{account:\d+}/b", "/metricsandmore"])
def test_a_page_that_fits_is_taken(path: str) -> None:
    assert Page(path, total).plain == ("{" not in path)


class Order(Record):
    amount: float


@pytest.mark.parametrize(
    ("value", "status", "type_", "body"),
    [
        ({"a": {2, 1}}, 200, "application/json", b'{"a":[1,2]}'),
        ([1, 2], 200, "application/json", b"[1,2]"),
        (Order(1.5), 200, "application/json", b'{"amount":1.5}'),
        (7, 200, "application/json", b"7"),
        ("hello", 200, "text/plain", b"hello"),
        (b"\x00", 200, "application/octet-stream", b"\x00"),
        (None, 204, "application/octet-stream", None),
    ],
)
def test_what_a_page_returns_becomes_a_response(value: Any, status: int, type_: str, body: bytes | None) -> None:
    response = answer(value)
    assert isinstance(response, web.Response)
    assert (response.status, response.content_type, response.body) == (status, type_, body)


def test_a_response_stays_as_it_is() -> None:
    response = web.Response(status=201)
    assert answer(response) is response


def test_a_callable_object_can_be_a_page() -> None:
    class Shown:
        def __call__(self, request: web.Request, name: str) -> str:
            return name

    handler: Callable[..., Any] = Shown()
    assert Page("/{name}", handler).handler is handler
