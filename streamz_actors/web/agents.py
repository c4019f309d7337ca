"""`/v1/agents`: who works here and how far behind, and a way to ask."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from streamz_actors.agents.agent import Agent
from streamz_actors.agents.channel import Channel
from streamz_actors.dataflow.node import Node, SourceNode
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import NotReady
from streamz_actors.serde.models import Record
from streamz_actors.serde.plain import NULL, Json, reader
from streamz_actors.types import TopicPartition
from streamz_actors.web.answers import json_answer, json_body
from streamz_actors.web.lag import Lag, pending
from streamz_actors.web.problems import Problem
from streamz_actors.worker.status import WorkerStatus
from streamz_actors.worker.worker import Worker

LONGEST: Final = 300.0
"""Seconds that an answer may be waited for."""


class Question(Record, forbid_unknown_fields=True):
    """`timeout` is in seconds."""

    value: Json
    key: Json = NULL
    timeout: float = 30.0


class Agents:
    def __init__(self, worker: Worker, lag: Lag) -> None:
        self._worker, self._lag = worker, lag
        self._agents = {agent.name: agent for agent in worker.spec.agents}
        nodes = {node.name: node for node in worker.spec.topology.nodes if node.agent}
        self._topics = {name: _topics(nodes[name]) for name in self._agents if name in nodes}

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/agents", self._list), web.post("/v1/agents/{agent}", self._ask)]

    async def _list(self, request: web.Request) -> web.Response:
        taken = pending(self._worker)
        lag = await self._lag.read()
        return json_answer({"agents": [self._described(agent, taken, lag) for agent in self._agents.values()]})

    def _described(
        self, agent: Agent[Any], taken: Mapping[str, int], lag: Mapping[TopicPartition, int] | None
    ) -> dict[str, Any]:
        """`lag` is None for agents on channels, and where the broker does not say."""
        topics = self._topics.get(agent.name)
        behind = None
        if topics is not None and lag is not None:
            behind = sum(records for place, records in lag.items() if place.topic in topics)
        return {
            "name": agent.name,
            "sources": topics or [agent.source.name if isinstance(agent.source, Channel) else str(agent.source)],
            "concurrency": agent.concurrency,
            "pending": taken[agent.name],
            "lag": behind,
        }

    async def _ask(self, request: web.Request) -> web.Response:
        name = request.match_info["agent"]
        agent = self._agents.get(name)
        if agent is None:
            raise Problem(404, f"there is no agent {name!r}; agents: {', '.join(self._agents) or 'none'}")
        asked = Question.loads(await json_body(request))
        if not 0 < asked.timeout <= LONGEST:
            raise Problem(422, f"timeout {asked.timeout:g}: seconds above 0, at most {LONGEST:g}", field="$.timeout")
        if self._worker.status is not WorkerStatus.RUNNING:
            raise NotReady(f"the worker is {self._worker.status.value}")
        key_type, value_type = _types(agent)
        value, key = reader(value_type)(bytes(asked.value)), reader(key_type, key=True)(bytes(asked.key))
        return json_answer({"agent": name, "value": await agent.ask(value, key=key, timeout=asked.timeout)})


def _topics(node: Node) -> list[str]:
    """The topics at the head of a node's ways, in order."""
    found: dict[str, None] = {}
    for parent in node.parents:
        found |= dict.fromkeys(parent.topic.names if isinstance(parent, SourceNode) else _topics(parent))
    return list(found)


def _types(agent: Agent[Any]) -> tuple[Any, Any]:
    """Of the keys and values that it takes; Any where `ask` will say that there is no one way to it."""
    source = agent.source
    if isinstance(source, Channel):
        return Any, source.value_type
    if isinstance(source, Topic):
        return source.key_schema.type, source.value_schema.type
    return Any, Any
