"""`/`: a plain page that leads to the others, until somebody's own page takes its place."""

from html import escape

from aiohttp import web

from streamz_actors.worker.worker import Worker

LINKS = (
    ("/v1/tables", "tables"),
    ("/v1/cluster", "workers and what they have"),
    ("/v1/agents", "agents"),
    ("/v1/topology", "topology"),
    ("/v1/topology.mmd", "topology as a Mermaid diagram"),
    ("/metrics", "metrics"),
    ("/livez", "liveness"),
    ("/readyz", "readiness"),
    ("/health", "health"),
)


class Index:
    """`own` are the paths of user pages that can be followed as they are."""

    def __init__(self, worker: Worker, own: list[str]) -> None:
        self._worker, self._own = worker, own

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/", self._index)]

    async def _index(self, request: web.Request) -> web.Response:
        app, name = escape(self._worker.spec.app_id), escape(self._worker.name)
        links = [*LINKS, *((path, f"page {path}") for path in self._own)]
        items = "".join(f'<li><a href="{escape(path)}">{escape(text)}</a></li>' for path, text in links)
        page = (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{app}</title>'
            f"<h1>{app}</h1><p>Worker {name}, {self._worker.status.value}.</p><ul>{items}</ul></html>"
        )
        return web.Response(text=page, content_type="text/html")
