"""Every error is answered as a problem document (RFC 9457): type, title, status, detail, and what helps further."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from streamz_actors.errors import (
    AskFailed,
    DecodeError,
    EncodeError,
    KeyMissing,
    NotReady,
    NotRunning,
    StreamzError,
    TableUnknown,
    TransportError,
    UsageError,
)
from streamz_actors.serde.plain import to_json

logger = logging.getLogger("streamz_actors.web")

CONTENT_TYPE: Final = "application/problem+json"

STATUS: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (TableUnknown, 404),
    (KeyMissing, 404),
    (DecodeError, 422),
    (EncodeError, 422),
    (NotReady, 503),
    (NotRunning, 503),
    (UsageError, 400),
    (AskFailed, 502),
    (TimeoutError, 504),
    (TransportError, 503),
)
"""Errors whose message is for the caller. The first that fits decides."""


class Problem(Exception):
    """Raised by handlers; `more` are further members of the document."""

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers, self.more = status, detail, headers, more


def problem_answer(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, **more: Any
) -> web.Response:
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return web.Response(body=to_json(document), status=status, headers=headers, content_type=CONTENT_TYPE)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns whatever a handler raises, and what aiohttp itself refuses, into a problem document."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _http(request, error)
    except Problem as error:
        return problem_answer(error.status, error.detail, headers=error.headers, **error.more)
    except (StreamzError, TimeoutError) as error:
        return _known(request, error)
    except Exception:
        return _unknown(request)


def _http(request: web.Request, error: web.HTTPException) -> web.StreamResponse:
    """aiohttp's own refusals, and what pages raise; redirects and the like are answers."""
    if error.status < 400:
        raise error
    said = error.text if error.text and error.text != f"{error.status}: {error.reason}" else None
    headers = {name: value for name, value in error.headers.items() if name != "Content-Type"}
    if error.status == 404:
        said = said or f"there is nothing at {request.path}"
    if error.status == 405:
        said = f"{request.method} is not offered at {request.path}; {error.headers.get('Allow', '')} is"
    return problem_answer(error.status, said or error.reason, headers=headers)


def _known(request: web.Request, error: Exception) -> web.Response:
    status = next((status for kind, status in STATUS if isinstance(error, kind)), None)
    if status is None:
        return _unknown(request)
    detail = str(error) or type(error).__name__
    if isinstance(error, NotReady):
        return problem_answer(status, detail, headers=retry_after(error.retry_after))
    if isinstance(error, DecodeError) and error.field:
        return problem_answer(status, detail, field=error.field)
    return problem_answer(status, detail)


def _unknown(request: web.Request) -> web.Response:
    """Only the log says more: the message of an unforeseen error is not meant for whoever asks."""
    logger.exception("%s %s failed", request.method, request.path)
    return problem_answer(500, f"{request.path} failed; the worker's log says why")


def retry_after(seconds: float) -> dict[str, str]:
    """The header, in whole seconds, at least one."""
    return {"Retry-After": str(max(1, round(seconds)))}
