"""`/metrics`: what the worker counts anyway, read when it is asked for; nothing is measured on the records' way."""

from collections import Counter

from aiohttp import web

from streamz_actors.query.local import LocalQueries
from streamz_actors.telemetry.loop_lag import LoopLag
from streamz_actors.telemetry.process import cpu_seconds, resident_bytes
from streamz_actors.telemetry.prometheus import CONTENT_TYPE, Exposition, Sample
from streamz_actors.types import TopicPartition
from streamz_actors.web.lag import Lag, pending
from streamz_actors.worker.status import WorkerStatus
from streamz_actors.worker.watchdog import KINDS
from streamz_actors.worker.worker import Worker


class Metrics:
    def __init__(self, worker: Worker, queries: LocalQueries, lag: Lag, loop_lag: LoopLag) -> None:
        self._worker, self._queries, self._lag, self._loop_lag = worker, queries, lag, loop_lag

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self._metrics)]

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=(await self.text()).encode(), headers={"Content-Type": CONTENT_TYPE})

    async def text(self) -> str:
        """One scrape."""
        out = Exposition()
        self._state(out)
        self._records(out)
        await self._positions(out)
        self._restore(out)
        self._standbys(out)
        self._tables(out)
        self._process(out)
        return out.text()

    def _state(self, out: Exposition) -> None:
        worker = self._worker
        about = {"app": worker.spec.app_id, "worker": worker.name}
        out.gauge("streamz_info", "Always 1; the labels say who this is.", (about, 1))
        out.gauge(
            "streamz_worker_status",
            "1 for the status that the worker is in.",
            *(({"status": status.value}, worker.status is status) for status in WorkerStatus),
        )
        out.gauge("streamz_ready", "Whether all assigned tasks run.", ({}, worker.ready.is_set()))
        out.gauge("streamz_spare", "Whether the worker has nothing to do while another works.", ({}, worker.spare))
        out.gauge("streamz_tasks", "Tasks of this worker.", ({}, len(worker.tasks)))
        out.counter("streamz_commits_total", "Commits of state and offsets.", ({}, worker.commits))
        stuck = Counter(each.kind for each in worker.watchdog.stuck)
        standing = "What makes no progress though it should, by kind; /readyz says more."
        out.gauge("streamz_stuck", standing, *(({"kind": kind}, stuck[kind]) for kind in KINDS))

    def _records(self, out: Exposition) -> None:
        worker = self._worker
        received: Counter[str] = Counter()
        for task in worker.tasks.values():
            received.update(task.records)
        by_topic = "records, by topic, since the partitions were assigned."
        out.counter("streamz_records_in_total", f"Processed {by_topic}", *_by("topic", received))
        sent = "Records handed to the broker, by topic; changelogs as well."
        out.counter("streamz_records_out_total", sent, *_by("topic", worker.sending.sent))
        failed = "Records given up: skipped, or sent to the dead letters."
        out.counter("streamz_records_failed_total", failed, ({}, worker.failed_records))
        out.counter("streamz_dead_letters_total", "Records sent to the dead letters.", ({}, worker.dead_letters))
        lost = "Records that the broker had no more when they were to be read, by source partition."
        gone = [(_place(place), count) for place, count in sorted(worker.lost.skipped.items())]
        out.counter("streamz_lost_records_total", lost, *gone)
        late = "Records that came too late, by the operator that dropped them."
        out.counter("streamz_late_records_total", late, *_by("operator", worker.late_records))
        buffered = {name: task.unfinished for name, task in worker.tasks.items()}
        arrived = "Records that have arrived and are not done, by task."
        out.gauge("streamz_buffered_records", arrived, *_by("task", buffered))
        taken = "Records that an agent has taken and not finished."
        out.gauge("streamz_agent_pending_records", taken, *_by("agent", pending(worker)))
        waiting = "Records sent that the broker has not acknowledged yet."
        out.gauge("streamz_unacknowledged_records", waiting, ({}, worker.sending.unacknowledged))

    async def _positions(self, out: Exposition) -> None:
        committed = [(_place(place), offset) for place, offset in sorted(self._worker.committed.items())]
        out.gauge("streamz_committed_offset", "Position committed, by source partition.", *committed)
        lag = await self._lag.read()
        behind = "Records between what is done and the end, by source partition."
        rows = [(_place(place), records) for place, records in sorted((lag or {}).items())]
        out.gauge("streamz_lag_records", behind, *rows)
        out.gauge("streamz_broker_answers", "Whether the broker said where partitions end.", ({}, lag is not None))

    def _restore(self, out: Exposition) -> None:
        progress = self._worker.assigned.restorer.progress
        if progress is None:
            return
        now = self._worker.clock.monotonic()
        left = progress.total - progress.done
        out.gauge("streamz_restore_records", "Changelog records restored.", ({}, progress.done))
        out.gauge("streamz_restore_remaining_records", "Changelog records still to be restored.", ({}, left))
        out.gauge("streamz_restore_records_per_second", "Speed of the restore.", ({}, progress.rate(now)))

    def _standbys(self, out: Exposition) -> None:
        lags = self._worker.assigned.standbys.lags()
        out.gauge("streamz_standbys", "Copies of other workers' tasks that this one keeps.", ({}, len(lags)))
        behind = "Records between a copy and the ends of its changelogs, by task."
        known = {name: lag for name, lag in lags.items() if lag is not None}
        out.gauge("streamz_standby_lag_records", behind, *_by("task", known))

    def _tables(self, out: Exposition) -> None:
        tables = self._queries.tables()
        entries = "Keys of a table on this worker, about."
        out.gauge("streamz_table_entries", entries, *_by("table", {table.name: table.count for table in tables}))
        dirty = {name: task.dirty for name, task in self._worker.tasks.items() if task.own}
        out.gauge("streamz_uncommitted_keys", "Keys written since the last commit, by task.", *_by("task", dirty))

    def _process(self, out: Exposition) -> None:
        lag = self._loop_lag
        out.gauge("streamz_loop_lag_seconds", "How late the event loop was when last measured.", ({}, lag.last))
        out.gauge("streamz_loop_lag_worst_seconds", "The same, the worst of the last minute.", ({}, lag.worst))
        out.counter("streamz_process_cpu_seconds_total", "Processor time of this process.", ({}, cpu_seconds()))
        held = resident_bytes()
        if held is not None:
            out.gauge("streamz_process_resident_memory_bytes", "Memory that this process holds.", ({}, held))


def _by(label: str, values: dict[str, int] | Counter[str]) -> list[Sample]:
    return [({label: name}, value) for name, value in sorted(values.items())]


def _place(place: TopicPartition) -> dict[str, str | int]:
    return {"topic": place.topic, "partition": place.partition}
