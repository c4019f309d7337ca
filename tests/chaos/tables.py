"""What the workers' own stores hold in the end, asked over HTTP, against what the changelogs say."""

import asyncio
import time
from typing import Any
from urllib.parse import quote

from streamz_actors.transport.abc import Transport
from tests.chaos.subject import Subject
from tests.integration.crew import look
from tests.integration.kafka_contents import table

PATIENCE = 60.0
"""Seconds within which every worker has to be able to list a table."""


async def differences(kafka: Transport, subject: Subject, urls: list[str]) -> list[str]:
    wrong = []
    for name in subject.tables:
        wanted = await table(kafka, f"{subject.group}-{name}-changelog")
        for url in urls:
            held = await listed(url, name)
            if held is None:
                wrong.append(f"{url} could not list {name} within {PATIENCE:.0f} s")
            elif held != wanted:
                keys = sorted(key for key in held.keys() | wanted.keys() if held.get(key) != wanted.get(key))
                shown = {key: (held.get(key), wanted.get(key)) for key in keys[:5]}
                wrong.append(f"{name} as {url} lists it is not its changelog, in {len(keys)} keys: {shown}")
    return wrong


async def listed(url: str, name: str) -> dict[str, Any] | None:
    """A whole table as a worker tells it; None if it never could."""
    rows: dict[str, Any] = {}
    cursor: str | None = ""
    deadline = time.monotonic() + PATIENCE
    while cursor is not None:
        page = await look(f"{url}/v1/tables/{name}?limit=1000" + (f"&cursor={quote(cursor)}" if cursor else ""))
        if page is None:
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(0.3)
            continue
        rows |= {entry["key"]: entry["value"] for entry in page["entries"]}
        cursor = page["cursor"]
    return rows
