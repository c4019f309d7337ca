"""Who is to be asked for which partition of a table, as this worker was told in the last rebalance."""

from collections.abc import Mapping

from streamz_actors.assignment.wire import Host, Ownership
from streamz_actors.errors import NotReady
from streamz_actors.query.access import Access, Known
from streamz_actors.worker.worker import Worker

Owner = Host | None
"""None: this worker itself."""


class Owners:
    def __init__(self, worker: Worker, access: Access) -> None:
        self._worker, self._access = worker, access

    @property
    def told(self) -> Ownership | None:
        """What is gone by: another object after each rebalance."""
        return self._worker.members.ownership

    def of(self, table: Known, partition: int) -> Owner:
        """Who has a partition. Raises NotReady where nobody can be asked."""
        if self._access.state(table, partition) is not None:
            return None
        place, told = self._access.place(table), self.told
        if place is None or told is None:
            raise self._access.not_ready(table)
        host = told.owner(place.sub.name, partition)
        if host is None:
            raise NotReady(f"table {table.name!r}: no worker has partition {partition} now")
        if self._is_here(host):
            raise self._access.not_ready(table)
        if not host.address:
            raise NotReady(
                f"table {table.name!r}: partition {partition} is at worker {host.worker}, which serves no HTTP"
            )
        return host

    def all(self, table: Known) -> tuple[Mapping[Owner, list[int]], NotReady | None]:
        """Who has which partitions; and why some have nobody that could be asked, if that is so."""
        owners: dict[Owner, list[int]] = {}
        why = None
        for partition in range(self._access.counted(table)):
            try:
                owners.setdefault(self.of(table, partition), []).append(partition)
            except NotReady as error:
                why = error
        return owners, why

    def others(self) -> list[Host]:
        """All other workers that can be asked, owners or not."""
        hosts = () if self.told is None else self.told.hosts
        return [host for host in hosts if host.address and not self._is_here(host)]

    def _is_here(self, host: Host) -> bool:
        return (host.worker, host.address) == (self._worker.name, self._worker.address)
