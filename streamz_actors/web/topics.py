"""`POST /v1/topics/{topic}`: records in over HTTP, where the settings allow it."""

import asyncio
from typing import Any

from aiohttp import web

from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import DecodeError, NotReady
from streamz_actors.serde.models import Record
from streamz_actors.serde.plain import NULL, Json, reader
from streamz_actors.serde.schema import schema_for
from streamz_actors.types import RecordMetadata
from streamz_actors.web.answers import json_answer, json_body
from streamz_actors.web.problems import Problem
from streamz_actors.worker.status import WorkerStatus
from streamz_actors.worker.worker import Worker


class Produced(Record, forbid_unknown_fields=True):
    """A record as it is posted. `timestamp` is in ms; headers are text."""

    value: Json
    key: Json = NULL
    partition: int | None = None
    timestamp: int | None = None
    headers: dict[str, str] = {}


_MANY = schema_for(list[Produced], "json")

Checked = tuple[bytes | None, bytes | None, Produced]
"""Encoded key and value."""


class Topics:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._topics = {name: topic for topic in worker.spec.topology.topics for name in topic.names}

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/topics/{topic}", self._produce)]

    async def _produce(self, request: web.Request) -> web.Response:
        """One record, or a list of them: then nothing is sent unless all can be."""
        name = request.match_info["topic"]
        if not self._worker.spec.settings.web_produces:
            raise Problem(403, "producing over HTTP is off: set web_produce to true if whoever reaches this port may")
        topic = self._topic(name)
        body = await json_body(request)
        if self._worker.status is not WorkerStatus.RUNNING:
            raise NotReady(f"the worker is {self._worker.status.value}")
        if body.lstrip().startswith(b"["):
            rows = [self._checked(name, topic, row, f"[{index}]") for index, row in enumerate(_MANY.decode(body) or [])]
            return json_answer(await asyncio.gather(*[self._send(name, row) for row in rows]))
        return json_answer(await self._send(name, self._checked(name, topic, Produced.loads(body), "")))

    def _topic(self, name: str) -> Topic[Any, Any]:
        topic = self._topics.get(name)
        if topic is None:
            theirs = sorted(name for name, topic in self._topics.items() if not topic.internal)
            raise Problem(404, f"the application declares no topic {name!r}; topics: {', '.join(theirs) or 'none'}")
        if topic.internal:
            raise Problem(403, f"topic {name!r} is the application's own: only its tasks write it")
        return topic

    def _checked(self, name: str, topic: Topic[Any, Any], row: Produced, place: str) -> Checked:
        """Raises DecodeError or Problem naming the field."""
        count = self._worker.collector.partitions(name)
        if row.partition is not None and not 0 <= row.partition < count:
            raise Problem(
                422, f"topic {name!r} has {count} partitions: there is no {row.partition}", field=f"${place}.partition"
            )
        try:
            side = "key"
            key = topic.key_schema.encode(reader(topic.key_schema.type, key=True)(bytes(row.key)))
            side = "value"
            value = topic.value_schema.encode(reader(topic.value_schema.type)(bytes(row.value)))
        except DecodeError as error:
            field = f"${place}.{side}{error.field.removeprefix('$')}"
            raise DecodeError(error.reason, field=field) from error
        return key, value, row

    async def _send(self, name: str, checked: Checked) -> RecordMetadata:
        key, value, row = checked
        worker = self._worker
        headers = tuple((header, text.encode()) for header, text in row.headers.items())
        moment = worker.clock.now() if row.timestamp is None else row.timestamp
        return await worker.outside.send(name, key, value, moment, headers, row.partition)
