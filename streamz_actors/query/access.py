"""Which tables there are, and which of their partitions can be read here; if one can't, why."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from streamz_actors.errors import NotReady, TableUnknown
from streamz_actors.serde.schema import Schema
from streamz_actors.tables.mapping import State
from streamz_actors.worker.status import WorkerStatus
from streamz_actors.worker.worker import Worker

LONGEST_WAIT = 60.0
"""Seconds after which somebody who waits for a restore is to look again at the latest."""


@dataclass(frozen=True, slots=True)
class Known:
    """A table as it was declared. `kind` is `global` where every worker holds all of it."""

    name: str
    kind: str
    key_schema: Schema[Any]
    value_schema: Schema[Any]
    per_partition: bool = False

    @property
    def is_global(self) -> bool:
        return self.kind == "global"


class Access:
    """The tables of one worker's application, and its share of their state."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        topology = worker.spec.topology
        self._tables = {
            spec.name: Known(spec.name, spec.kind, spec.key_schema, spec.value_schema, spec.per_partition)
            for spec in topology.tables
        }
        self._tables |= {
            spec.name: Known(spec.name, "global", spec.topic.key_schema, spec.topic.value_schema)
            for spec in topology.globals
        }

    @property
    def tables(self) -> list[Known]:
        """By name."""
        return [self._tables[name] for name in sorted(self._tables)]

    def table(self, name: str) -> Known:
        """Raises TableUnknown, listing what there is."""
        try:
            return self._tables[name]
        except KeyError:
            known = ", ".join(sorted(self._tables)) or "none"
            raise TableUnknown(f"there is no table {name!r}; tables: {known}") from None

    def partitions(self, table: Known) -> int | None:
        """How many it has in the whole application: none if nothing uses it; None while that is not known."""
        if table.is_global:
            return 1
        provision = self._worker.provision
        if provision is None:
            return None
        using = (sub for sub in provision.subs if any(spec.name == table.name for spec in sub.stores))
        return next((sub.partitions for sub in using), 0)

    def here(self, table: Known) -> Mapping[int, State]:
        """By number: the partitions that this worker can read now. A global table is one, whatever its topic has."""
        worker = self._worker
        if not table.is_global:
            return worker.states(table.name)
        return {0: worker.globals.states[table.name]} if worker.globals.loaded else {}

    def all(self, table: Known) -> Mapping[int, State]:
        """Every partition. Raises NotReady if one of them is not here."""
        states = self.here(table)
        if len(states) != self.partitions(table):
            raise self.not_ready(table)
        return states

    def not_ready(self, table: Known) -> NotReady:
        """Why some of its partitions cannot be read here."""
        worker = self._worker
        where = f"table {table.name!r} cannot be read here"
        if worker.failure is not None:
            return NotReady(f"{where}: the worker has failed")
        if worker.status is not WorkerStatus.RUNNING:
            return NotReady(f"{where}: the worker is {worker.status.value}")
        if worker.spare:
            return NotReady(f"{where}: this worker waits as a spare{self._owner()}")
        progress = worker.assigned.restorer.progress
        if progress is not None:
            now = worker.clock.monotonic()
            wait = min(LONGEST_WAIT, max(1.0, progress.eta(now) or 1.0))
            return NotReady(f"{where} yet: it is being restored, {progress.describe(now)}", wait)
        if worker.members.assigned is None:
            return NotReady(f"{where} yet: the worker waits for its partitions")
        return NotReady(f"{where} yet: its partitions are on their way here")

    def _owner(self) -> str:
        ownership = self._worker.members.ownership
        if ownership is None:
            return ""
        address = next((host.address for host in ownership.hosts if host.worker == ownership.leader), "")
        at = f" at {address}" if address else ""
        return f"; {ownership.leader}{at} has the work"
