"""`/v1/cluster`: the workers of the application, who has which partitions and who keeps copies of them.

Every worker knows all of it, but how far its own copies are only each by itself.
"""

from collections.abc import Sequence
from typing import Any

from aiohttp import web

from streamz_actors.assignment.wire import Host, Ownership
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.errors import NotReady
from streamz_actors.query.access import Access
from streamz_actors.web.answers import json_answer
from streamz_actors.worker.worker import Worker


class Cluster:
    def __init__(self, worker: Worker, access: Access) -> None:
        self._worker, self._access = worker, access

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/v1/cluster", self._cluster)]

    async def _cluster(self, request: web.Request) -> web.Response:
        worker = self._worker
        told, provision = self._told(), worker.provision
        subs = [] if provision is None else [sub for sub in provision.subs if sub.topics]
        return json_answer(
            {
                "app": worker.spec.app_id,
                "worker": worker.name,
                "leader": told.leader,
                "workers": [_worker(told, host, subs) for host in told.hosts],
                "subtopologies": [
                    {
                        "name": sub.name,
                        "partitions": sub.partitions,
                        "owners": _owners(told, sub),
                        "standbys": _standbys(told, sub),
                    }
                    for sub in subs
                ],
                "tables": self._tables(told),
                "copies": self._copies(),
            }
        )

    def _told(self) -> Ownership:
        """What was assigned last. A worker that reads no topic joins no group: it is alone."""
        worker = self._worker
        if worker.members.ownership is not None:
            return worker.members.ownership
        if worker.provision is None or any(sub.topics for sub in worker.provision.subs):
            raise NotReady("no partitions have been assigned yet")
        return Ownership(worker.name, (Host(worker.name, worker.address),), {})

    def _copies(self) -> list[dict[str, Any]]:
        """What this worker, and it alone, knows of the copies that it keeps; `lag`: None before it has begun."""
        standbys = self._worker.assigned.standbys
        return [
            {"task": name, "lag": lag, "warmup": name in standbys.warmups}
            for name, lag in sorted(standbys.lags().items())
        ]

    def _tables(self, told: Ownership) -> list[dict[str, Any]]:
        """Global tables, which every worker has, have no owners."""
        tables = []
        for table in self._access.tables:
            place = self._access.place(table)
            owners = [] if place is None else _owners(told, place.sub)
            name = None if place is None else place.sub.name
            tables.append({"name": table.name, "kind": table.kind, "subtopology": name, "owners": owners})
        return tables


def _worker(told: Ownership, host: Host, subs: Sequence[SubTopology]) -> dict[str, Any]:
    places = [(sub, number) for sub in subs for number in range(sub.partitions)]
    return {
        "name": host.worker,
        "address": host.address,
        "leader": host.worker == told.leader,
        "tasks": [sub.task_name(number) for sub, number in places if told.owner(sub.name, number) == host],
        "standbys": [sub.task_name(number) for sub, number in places if host in told.standbys(sub.name, number)],
    }


def _owners(told: Ownership, sub: SubTopology) -> list[str | None]:
    """By partition, the name of its owner; None: nobody."""
    owners = (told.owner(sub.name, number) for number in range(sub.partitions))
    return [None if owner is None else owner.worker for owner in owners]


def _standbys(told: Ownership, sub: SubTopology) -> list[list[str]]:
    """By partition, the names of those that keep a copy: standbys, then those that warm up for a move."""
    return [[host.worker for host in told.standbys(sub.name, number)] for number in range(sub.partitions)]
