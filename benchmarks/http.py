"""What the checks ask over HTTP: JSON in, JSON out, one request at a time."""

import asyncio
import json
import socket
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

TIMEOUT = 10.0


def free_port() -> int:
    """Free a moment ago: nobody keeps it for us."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def ask(port: int, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
    """Status and JSON of an answer (None if it is no JSON); a POST if there is a body; 0 where nobody answers."""
    return await asyncio.to_thread(_ask, f"http://127.0.0.1:{port}{path}", body)


def _ask(url: str, body: Mapping[str, Any] | None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data, {} if data is None else {"Content-Type": "application/json"})
    try:
        with urlopen(request, timeout=TIMEOUT) as answer:
            return answer.status, _json(answer.read())
    except HTTPError as error:
        with error:
            return error.code, _json(error.read())
    except (URLError, OSError):
        return 0, None


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
