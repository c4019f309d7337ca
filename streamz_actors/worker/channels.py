"""Agents on channels: they belong to no task, so they run once in every worker and own no tables."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from streamz_actors.agents.agent import Agent
from streamz_actors.agents.channel import Channel
from streamz_actors.agents.inbox import Inbox
from streamz_actors.clock import Clock
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.policies import Fail, Final, Policy
from streamz_actors.errors import HandlerError
from streamz_actors.worker.spec import Spec


class Host(Protocol):
    """The worker, as channel agents need it."""

    @property
    def clock(self) -> Clock: ...

    @property
    def outside(self) -> Collector: ...

    @property
    def spec(self) -> Spec: ...

    @property
    def global_states(self) -> Mapping[str, Any]: ...

    def give_up(
        self, what: str, policy: Final, batch: Batch, index: int, error: BaseException, attempts: int
    ) -> None: ...

    def fail(self, error: BaseException) -> None: ...

    def wake(self) -> None: ...


class ChannelPlace:
    """Where the actors of one channel agent run."""

    partition = 0

    def __init__(self, host: Host, channel: Channel[Any]) -> None:
        self._host, self._channel = host, channel

    @property
    def clock(self) -> Clock:
        return self._host.clock

    @property
    def collector(self) -> Collector:
        return self._host.outside

    @property
    def states(self) -> Mapping[str, Any]:
        return self._host.global_states

    @property
    def on_error(self) -> Policy:
        return self._host.spec.on_error

    def give_up(self, what: str, policy: Final, batch: Batch, index: int, error: BaseException, attempts: int) -> None:
        if isinstance(policy, Fail):
            raise HandlerError(
                f"{what} on channel {self._channel.name!r}", batch.origin, batch.offsets[index], error
            ) from error
        self._host.give_up(what, policy, batch, index, error, attempts)

    def late(self, record: Late) -> None:
        """No operator with a time of its own runs here."""

    def changed(self, table: str, batch: Batch) -> None:
        """A channel agent writes no tables."""

    def failed(self, error: BaseException) -> None:
        self._host.fail(error)

    def wake(self) -> None:
        self._channel.wake()
        self._host.wake()


class ChannelAgents:
    def __init__(self, agents: Sequence[Agent[Any]], host: Host) -> None:
        self._agents = [agent for agent in agents if isinstance(agent.source, Channel)]
        self._host = host
        self._inboxes: list[Inbox] = []

    async def start(self) -> None:
        listeners: dict[Channel[Any], list[Inbox]] = {}
        for agent in self._agents:
            channel: Channel[Any] = agent.source  # type: ignore[assignment]  # filtered above
            inbox = agent.inbox(ChannelPlace(self._host, channel))
            self._inboxes.append(inbox)
            listeners.setdefault(channel, []).append(inbox)
        for channel, inboxes in listeners.items():
            await channel.open(inboxes, self._host.clock.now)

    @property
    def idle(self) -> bool:
        return all(inbox.idle() for inbox in self._inboxes)

    async def stop(self) -> None:
        for agent in self._agents:
            channel: Channel[Any] = agent.source  # type: ignore[assignment]  # filtered above
            channel.close()
        for inbox in self._inboxes:
            await inbox.stop()
