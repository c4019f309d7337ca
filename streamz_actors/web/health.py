"""Liveness and readiness: is this process worth keeping, and is it ready for its work? With reasons."""

from typing import Any, Final

from aiohttp import web

from streamz_actors.tasks.task import TaskStatus
from streamz_actors.telemetry.loop_lag import LoopLag
from streamz_actors.web.answers import json_answer
from streamz_actors.web.problems import problem_answer, retry_after
from streamz_actors.worker.status import WorkerStatus
from streamz_actors.worker.worker import Worker

LATE: Final = 10.0
"""Seconds that the event loop may be late and the process still counts as alive."""

SILENT: Final = 60.0
"""Seconds that a running worker may go without a finished poll."""


class Health:
    def __init__(self, worker: Worker, lag: LoopLag) -> None:
        self._worker, self._lag = worker, lag

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/livez", self._livez),
            web.get("/readyz", self._readyz),
            web.get("/health", self._health),
        ]

    async def _livez(self, request: web.Request) -> web.Response:
        return _answer(self.live(), "live")

    async def _readyz(self, request: web.Request) -> web.Response:
        return _answer(self.ready(), "ready")

    async def _health(self, request: web.Request) -> web.Response:
        live, ready = self.live(), self.ready()
        reasons = [*live["reasons"], *(reason for reason in ready["reasons"] if reason not in live["reasons"])]
        both = {"healthy": not reasons, "reasons": reasons, "live": live, "ready": ready}
        return _answer(both, "healthy")

    def live(self) -> dict[str, Any]:
        """Times are in seconds; `poll_age` is None where nothing is polled: before the start and after the end."""
        worker = self._worker
        reasons = self._ended()
        polling = worker.status is WorkerStatus.RUNNING and worker.members.consumer is not None
        poll_age = max(0.0, worker.clock.monotonic() - worker.polled_at) if polling else None
        if self._lag.last > LATE:
            reasons.append(f"the event loop is {self._lag.last:.1f} s late: something holds it")
        if poll_age is not None and poll_age > SILENT:
            reasons.append(f"no poll has come back for {poll_age:.0f} s")
        return {
            "live": not reasons,
            "reasons": reasons,
            "status": worker.status.value,
            "loop_lag": round(self._lag.last, 6),
            "loop_lag_worst": round(self._lag.worst, 6),
            "poll_age": None if poll_age is None else round(poll_age, 3),
        }

    def ready(self) -> dict[str, Any]:
        """A spare is ready: it does all that there is for it to do."""
        worker = self._worker
        running = sum(task.status is TaskStatus.RUNNING for task in worker.tasks.values())
        reasons = self._ended() or self._waiting()
        return {
            "ready": not reasons,
            "reasons": reasons,
            "status": worker.status.value,
            "spare": worker.spare,
            "tasks": {"running": running, "waiting": len(worker.tasks) - running},
            "restore": self._restore(),
        }

    def _ended(self) -> list[str]:
        worker = self._worker
        if worker.failure is not None:
            return [f"the worker has failed: {worker.failure}"]
        return ["the worker has stopped"] if worker.status is WorkerStatus.STOPPED else []

    def _waiting(self) -> list[str]:
        """What has still to happen before the worker does its work."""
        worker = self._worker
        if worker.status is WorkerStatus.DRAINING:
            return ["the worker is stopping"]
        if worker.reaching.trouble:
            return [f"the worker is starting: {worker.reaching.trouble}"]
        if not worker.globals.loaded:
            return ["the worker is starting: its global tables are not loaded yet"]
        if worker.status is WorkerStatus.STARTING:
            return ["the worker is starting"]
        if worker.ready.is_set():
            return [each.text for each in worker.watchdog.stuck]
        progress = worker.assigned.restorer.progress
        if progress is not None:
            return [f"tables are being restored: {progress.describe(worker.clock.monotonic())}"]
        if worker.members.assigned is None:
            return ["no partitions have been assigned yet"]
        return ["assigned partitions are being taken over"]

    def _restore(self) -> dict[str, Any] | None:
        progress = self._worker.assigned.restorer.progress
        if progress is None:
            return None
        now = self._worker.clock.monotonic()
        eta = progress.eta(now)
        return {
            "records": progress.done,
            "total": progress.total,
            "bytes": progress.bytes,
            "rate": round(progress.rate(now), 1),
            "eta": None if eta is None else round(eta, 1),
            "remaining": progress.tables,
        }


def _answer(said: dict[str, Any], name: str) -> web.Response:
    if said[name]:
        return json_answer(said)
    more = {key: value for key, value in said.items() if key != "status"}
    return problem_answer(503, "; ".join(said["reasons"]), headers=retry_after(1.0), **more)
