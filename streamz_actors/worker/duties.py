"""What a worker was told in the last rebalance of copies: which it keeps, and who beside it has the same task's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from streamz_actors.assignment.wire import Host, Ownership
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.worker.provision import Provision


@dataclass(frozen=True, slots=True)
class Duties:
    copies: Mapping[str, tuple[SubTopology, int]] = field(default_factory=dict)
    """By task name: those of which a copy is to be kept here."""
    warmups: frozenset[str] = frozenset()
    """Of these, what is wanted for a move."""
    _told: Ownership | None = None
    _me: str = ""

    def neighbours(self, sub: str, partition: int) -> int:
        """How many others have a task or a copy of it, and may have it in this machine's folder."""
        told = self._told
        if told is None:
            return 0
        having = (told.owner(sub, partition), *told.standbys(sub, partition))
        here = {_machine(host) for host in told.hosts if host.worker == self._me}
        others = {host for host in having if host is not None and host.worker != self._me}
        return sum(None in here or _machine(host) in {None, *here} for host in others)


def duties(told: Ownership | None, me: str, provision: Provision) -> Duties:
    """What worker `me` is to keep of what this release of the application has."""
    if told is None:
        return Duties()
    subs = {sub.name: sub for sub in provision.subs if sub.stores}
    warm = _named(told.own.warmups, subs)
    return Duties(_named(told.own.standbys, subs) | warm, frozenset(warm), told, me)


def _named(
    told: Mapping[str, tuple[int, ...]], subs: Mapping[str, SubTopology]
) -> dict[str, tuple[SubTopology, int]]:
    return {
        subs[name].task_name(number): (subs[name], number)
        for name, numbers in told.items()
        if name in subs
        for number in numbers
        if 0 <= number < subs[name].partitions
    }


def _machine(host: Host) -> str | None:
    """None: not known, as it serves no HTTP."""
    return urlsplit(host.address).hostname
