"""What an application hands to its worker: the topology and everything else that was declared."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from streamz_actors.agents.agent import Agent
from streamz_actors.config import Settings
from streamz_actors.dataflow.policies import Fail, Policy
from streamz_actors.dataflow.topology import Topology

Call = Callable[[], Awaitable[None] | None]


@dataclass(frozen=True, slots=True)
class Timer:
    """Something called every `interval` seconds, counted from the end of the last call; first after one interval."""

    name: str
    function: Call
    interval: float
    on_leader: bool = False


@dataclass(frozen=True, slots=True)
class Crontab:
    """Something called at the minutes that a cron expression names, in a time zone."""

    name: str
    function: Call
    expression: str
    timezone: str
    on_leader: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A coroutine that runs beside the worker, from its start to its end."""

    name: str
    function: Call
    on_leader: bool = False


@dataclass(frozen=True, slots=True)
class Spec:
    """A finished application."""

    settings: Settings
    topology: Topology
    agents: tuple[Agent[Any], ...] = ()
    timers: tuple[Timer, ...] = ()
    crontabs: tuple[Crontab, ...] = ()
    jobs: tuple[Job, ...] = ()
    on_startup: tuple[Call, ...] = ()
    on_shutdown: tuple[Call, ...] = ()
    on_error: Policy = Fail()
    """Of whatever says nothing else."""

    @property
    def app_id(self) -> str:
        return self.topology.app_id

    @property
    def dead_letters(self) -> str:
        """The default topic of dead letters."""
        return f"{self.app_id}-dead-letters"
