"""The shelves that are open in this process, and the places they are taken from.

    <task>        the first place of a task's state
    <task>@<n>    further ones: processes that share a folder may each keep a copy of one task

A place belongs to nobody; whoever has it open has it. A task is opened, for itself or as a copy,

    1  where this process has it open already: a copy that becomes the task's own, or the other way round
    2  not yet, while more places are held than there are others who may: somebody is about to let go of one
    3  in the place that is free; of several, in the one that has come furthest
    4  in a new one
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.errors import StoreLocked
from streamz_actors.stores.abc import Backend, Shelf
from streamz_actors.tasks.state import identity, open_shelf
from streamz_actors.transport.abc import TopicInfo

AT = "@"
"""Stands in no topic's name, so in no task's."""


@dataclass(frozen=True, slots=True)
class _Opened:
    shelf: Shelf
    place: str
    identities: Mapping[str, str]


class Shelves:
    """By task name."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._opened: dict[str, _Opened] = {}

    @property
    def names(self) -> frozenset[str]:
        """The tasks whose shelves are open."""
        return frozenset(self._opened)

    def open(
        self,
        sub: SubTopology,
        partition: int,
        cluster_id: str,
        topics: Mapping[str, TopicInfo],
        others: int | None,
    ) -> Shelf:
        """`others`: how many other processes of this machine may have a place of the task; None: nobody is waited for.

        Raises StoreLocked: it is to be tried again.
        """
        name = sub.task_name(partition)
        identities = identities_of(sub, cluster_id, topics)
        opened = self._opened.get(name)
        if opened is not None and opened.identities == identities:
            return opened.shelf
        self.close([name])
        place = self._place(name, identities, others)
        shelf = open_shelf(self._backend, place, identities)
        self._opened[name] = _Opened(shelf, place, identities)
        return shelf

    def _place(self, name: str, identities: Mapping[str, str], others: int | None) -> str:
        places = places_of(name, self._backend.places(name))
        free = [place for place in places if not self._backend.held(place)]
        if others is not None and len(places) - len(free) > others:
            held = ", ".join(sorted(set(places) - set(free)))
            raise StoreLocked(f"the state of task {name} ({held}) is open elsewhere, in this process or another")
        if len(free) > 1:
            return max(free, key=lambda place: sum(self._backend.covered(place, identities).values()))
        return free[0] if free else _new(name, places)

    def close(self, names: Iterable[str]) -> None:
        for name in names:
            opened = self._opened.pop(name, None)
            if opened is not None:
                opened.shelf.close()


def identities_of(sub: SubTopology, cluster_id: str, topics: Mapping[str, TopicInfo]) -> dict[str, str]:
    """By store name: whose data it is."""
    return {spec.name: identity(spec, cluster_id, topics) for spec in sub.stores}


def task_of(place: str) -> str:
    """The name of the task that a place is for."""
    name, at, number = place.rpartition(AT)
    return name if at and number.isdecimal() else place


def places_of(name: str, places: Iterable[str]) -> list[str]:
    """Those of a task."""
    return [place for place in places if task_of(place) == name]


def _new(name: str, places: list[str]) -> str:
    if name not in places:
        return name
    return next(place for number in range(1, len(places) + 1) if (place := f"{name}{AT}{number}") not in places)
