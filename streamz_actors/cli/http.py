"""Questions to a running worker over HTTP: JSON there and back, problem documents as errors."""

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import click

from streamz_actors.config import Settings

TIMEOUT = 10.0
"""Seconds."""

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""A worker is asked directly, whatever proxy the environment names for the rest of the world."""


def base_url(settings: Settings) -> str:
    """Where the worker of these settings answers, as seen from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(settings.web_host, settings.web_host)
    return f"http://{host}:{settings.web_port}"


def call(method: str, url: str, body: object = None, *, credentials: Mapping[str, str]) -> Any:
    """The answer's JSON. Raises ClickException with what the worker says, or that there is none.

    `credentials` are headers: `Settings.web_credentials`.
    """
    data = None if body is None else json.dumps(body).encode()
    headers = {"Accept": "application/json", **credentials}
    if data is not None:
        headers["Content-Type"] = "application/json"
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with _DIRECT.open(request, timeout=TIMEOUT) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            raise click.ClickException(_problem(error)) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise click.ClickException(
            f"no worker answers at {url}: {reason}; start one with `app worker`, or say where it is with --url"
        ) from error


def _problem(error: urllib.error.HTTPError) -> str:
    """What an RFC 9457 document says, else the status."""
    try:
        document = json.load(error)
        return str(document.get("detail") or document["title"])
    except (ValueError, KeyError, AttributeError):
        return f"{error.url} answers {error.code} {error.reason}"
