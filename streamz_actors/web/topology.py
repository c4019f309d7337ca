"""`/v1/topology`: what the application is made of, as JSON and as a Mermaid diagram."""

from aiohttp import web

from streamz_actors.dataflow.describe import Description, describe
from streamz_actors.web.answers import json_answer
from streamz_actors.worker.worker import Worker


class TopologyPages:
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/topology", self._json), web.get("/v1/topology.mmd", self._mermaid)]

    def _described(self) -> Description:
        """With the partition counts that the broker has, once it was asked."""
        provision, spec = self._worker.provision, self._worker.spec
        return describe(spec.topology, {} if provision is None else provision.counts, spec.settings.topic_partitions)

    async def _json(self, request: web.Request) -> web.Response:
        return json_answer(self._described().as_dict())

    async def _mermaid(self, request: web.Request) -> web.Response:
        return web.Response(text=self._described().mermaid())
