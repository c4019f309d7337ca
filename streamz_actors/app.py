"""`App`: where an application is declared and from where it is run. It composes; nothing below knows it."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, overload

from streamz_actors.agents.agent import Agent, Source
from streamz_actors.agents.channel import Channel
from streamz_actors.cli.main import main as command_line
from streamz_actors.clock import SystemClock
from streamz_actors.config import KEYWORD, Settings, override, project_table, resolve
from streamz_actors.dataflow.context import Link
from streamz_actors.dataflow.describe import Description, describe
from streamz_actors.dataflow.limits import Limits
from streamz_actors.dataflow.policies import NAMED, Final, Policy, name_of
from streamz_actors.dataflow.topics import OnTimestampError, Topic
from streamz_actors.dataflow.topology import Topology, TopologyBuilder
from streamz_actors.errors import ConfigError, TopologyError
from streamz_actors.running import Running
from streamz_actors.serde.schema import schema_for
from streamz_actors.stores.select import make_backend
from streamz_actors.streams.declare import declare_global_table, declare_set_table, declare_stream, declare_table
from streamz_actors.streams.global_table import GlobalTable
from streamz_actors.streams.set_table import SetTable
from streamz_actors.streams.stream import Stream, Table, VersionedTable
from streamz_actors.streams.windowed_table import WindowTable, WrittenWindow, named_windows
from streamz_actors.transport.select import make_transport
from streamz_actors.web.pages import Page
from streamz_actors.web.siblings import Siblings
from streamz_actors.windows.definitions import Duration
from streamz_actors.worker.background import check_crontab
from streamz_actors.worker.spec import Call, Crontab, Job, Spec, Timer

F = TypeVar("F", bound=Callable[..., Any])


class App:
    """One application: `id` names its consumer group and its internal topics.

    Settings are taken from the command line, the environment, `pyproject.toml`, these keywords, or defaults, in that
    order. Raises ConfigError for a setting that is unknown or malformed.
    """

    def __init__(
        self,
        id: str,  # noqa: A002
        *,
        broker: str | None = None,
        store: str | None = None,
        on_error: Policy | str | None = None,
        **settings: Any,
    ) -> None:
        """`on_error`: what becomes of records on which something fails, where nothing else is said."""
        self._on_error = on_error if isinstance(on_error, Policy) else None
        keywords = {"broker": broker, "store": store, "on_error": name_of(on_error), **settings}
        self.settings = resolve(id, keywords, environ=os.environ, pyproject=project_table(Path.cwd()), overrides={})
        self._builder = TopologyBuilder(id, make_agent=self._through)
        self._agents: list[Agent[Any]] = []
        self._timers: list[Timer] = []
        self._crontabs: list[Crontab] = []
        self._jobs: list[Job] = []
        self._startup: list[Call] = []
        self._shutdown: list[Call] = []
        self._pages: list[Page] = []
        self._commands: dict[str, Callable[..., Any]] = {}
        self._channels = 0
        self._topology: Topology | None = None

    @property
    def id(self) -> str:
        return self.settings.app_id

    def __repr__(self) -> str:
        return f"<App {self.id!r}>"

    # -- declaring: where records come from and where state lives

    def topic(
        self,
        *names: str,
        key_type: Any = None,
        value_type: Any = None,
        key_codec: str | None = None,
        value_codec: str | None = None,
        partitions: int | None = None,
        replication_factor: int | None = None,
        compacting: bool = False,
        retention: float | timedelta | None = None,
        config: Mapping[str, str] | None = None,
        timestamp: Callable[[Any], int | datetime] | None = None,
        on_decode_error: Final | None = None,
        on_timestamp_error: OnTimestampError | None = None,
    ) -> Topic[Any, Any]:
        """A topic, or several of one shape that are read together.

        Types left out take plain JSON. `retention` is in seconds. `timestamp` gives a value's event time (ms or
        datetime) in place of the record's; `on_timestamp_error` says what to do where that is none.
        """
        pickle = self.settings.allow_pickle
        cleanup = {"cleanup.policy": "compact"} if compacting else {}
        return self._builder.topic(
            Topic(
                names,
                schema_for(Any if key_type is None else key_type, key_codec, key=True, allow_pickle=pickle),
                schema_for(Any if value_type is None else value_type, value_codec, allow_pickle=pickle),
                self._builder.link,
                partitions=partitions,
                replication_factor=replication_factor,
                compacting=compacting,
                retention=retention,
                config=dict(config or {}),
                timestamp=timestamp,
                on_decode_error=on_decode_error,
                on_timestamp_error=on_timestamp_error,
                limits=Limits.of({**cleanup, **(config or {})}, self.settings.producer_config),
            )
        )

    def channel(self, *, value_type: Any = Any, maxsize: int = 0, name: str | None = None) -> Channel[Any]:
        """A topic inside the process. `maxsize` bounds what is unfinished (0: unbounded)."""
        self._channels += 1
        return Channel(name or f"channel-{self._channels}", value_type, maxsize)

    @overload
    def table(self, name: Topic[Any, Any], *, versioned: Duration, **options: Any) -> VersionedTable[Any, Any]: ...
    @overload
    def table(self, name: str | Topic[Any, Any], *, windowed: None = None, **options: Any) -> Table[Any, Any]: ...
    @overload
    def table(self, name: str, *, windowed: WrittenWindow, **options: Any) -> WindowTable[Any, Any]: ...
    def table(self, name: Any, *, windowed: WrittenWindow | None = None, **options: Any) -> Any:
        """A table that handlers write, by name; or the table of a topic's latest values.

        Options: `key_type, value_type, default, partitions, changelog=True, codec, per_partition=False,
        standby_replicas`; with `windowed` also `expires, on_window_close, merger`, see `Table.tumbling`. A topic's
        table takes `default`, `standby_replicas` and `versioned`: how long it keeps what each key held before.
        """
        pickle = self.settings.allow_pickle
        if windowed is not None:
            return named_windows(self._builder, name, windowed, allow_pickle=pickle, **options)
        return declare_table(self._builder, name, allow_pickle=pickle, **options)

    def set_table(self, name: str, **options: Any) -> SetTable[Any, Any]:
        """A table whose values are sets."""
        return declare_set_table(self._builder, name, allow_pickle=self.settings.allow_pickle, **options)

    def global_table(self, topic: Topic[Any, Any], *, name: str | None = None) -> GlobalTable[Any, Any]:
        """The latest values of a topic, all of them on every worker."""
        return declare_global_table(self._builder, topic, name=name)

    def stream(
        self, source: Topic[Any, Any] | Table[Any, Any] | WindowTable[Any, Any] | Agent[Any], **options: Any
    ) -> Stream[Any, Any]:
        """The records of a topic, the changes of a table, or what an agent yields.

        Options, of an agent only: `key_type, value_type, rekeyed`, see `Agent.stream`.
        """
        if isinstance(source, Agent):
            return source.stream(**options)
        if options:
            raise TopologyError(f"stream of {source!r}: {', '.join(options)} is for agents: a topic has its own types")
        return declare_stream(self._builder, source)

    # -- declaring: what is done with them

    def agent(
        self,
        source: Source | Sequence[Topic[Any, Any]] | None = None,
        *,
        name: str | None = None,
        concurrency: int = 1,
        ordering: str = "key",
        sinks: Iterable[Any] = (),
        tables: Iterable[Any] | None = None,
        on_error: Policy | None = None,
        supervisor: str = "restart",
    ) -> Callable[[Callable[..., Any]], Agent[Any]]:
        """Makes an agent of an `async def` function of one stream. Without a source: for `stream.through_agent`."""

        def decorate(function: Callable[..., Any]) -> Agent[Any]:
            agent: Agent[Any] = Agent(
                self._builder,
                function,
                source,
                name=name,
                concurrency=concurrency,
                ordering=ordering,
                sinks=sinks,
                tables=tables,
                on_error=on_error,
                supervisor=supervisor,
            )
            self._agents.append(agent)
            return agent

        return decorate

    def _through(self, agent: Agent[Any] | Callable[..., Any], stream: Stream[Any, Any], **options: Any) -> Agent[Any]:
        """The agent that a stream goes through; options are those of `agent`, for a plain function."""
        if not isinstance(agent, Agent):
            return self.agent(stream, **options)(agent)
        if options:
            raise TopologyError(f"agent {agent.name!r}: {', '.join(options)} is said where it is declared")
        agent.follow(stream)
        return agent

    def timer(self, interval: float | timedelta, *, on_leader: bool = False) -> Callable[[F], F]:
        """Calls a function every `interval` seconds while the worker runs."""
        seconds = interval.total_seconds() if isinstance(interval, timedelta) else float(interval)
        if seconds <= 0:
            raise ConfigError(f"timer interval {interval!r} must be above 0")
        return self._collect(lambda function: self._timers.append(Timer(_name(function), function, seconds, on_leader)))

    def crontab(self, expression: str, *, timezone: str | None = None, on_leader: bool = False) -> Callable[[F], F]:
        """Calls a function at the times of a cron expression; `timezone` defaults to the setting."""
        zone = timezone or self.settings.timezone
        check_crontab(expression, zone)
        return self._collect(
            lambda function: self._crontabs.append(Crontab(_name(function), function, expression, zone, on_leader))
        )

    @overload
    def task(self, function: F, *, on_leader: bool = False) -> F: ...
    @overload
    def task(self, function: None = None, *, on_leader: bool = False) -> Callable[[F], F]: ...
    def task(self, function: Any = None, *, on_leader: bool = False) -> Any:
        """Runs a coroutine function once, beside the worker."""
        decorate = self._collect(lambda call: self._jobs.append(Job(_name(call), call, on_leader)))
        return decorate if function is None else decorate(function)

    def page(self, path: str, *, methods: Sequence[str] = ("GET",)) -> Callable[[F], F]:
        """Serves `async def handler(request, **path_parameters)` on the worker's web server."""
        return self._collect(lambda function: self._pages.append(Page(path, function, tuple(methods))))

    def command(self, name: str | None = None) -> Callable[[F], F]:
        """Makes a function, sync or async, a command of `app -A module`."""
        return self._collect(
            lambda function: self._commands.__setitem__(name or _name(function).replace("_", "-"), function)
        )

    def on_startup(self, function: F) -> F:
        """Calls a function before the worker joins its group; what it raises ends the worker."""
        self._startup.append(function)
        return function

    def on_shutdown(self, function: F) -> F:
        """Calls a function when the worker has stopped its work."""
        self._shutdown.append(function)
        return function

    def _collect(self, add: Callable[[F], None]) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            if self._topology is not None:
                raise TopologyError(
                    f"{_name(function)!r} was declared after the application was started: declare first, then run"
                )
            add(function)
            return function

        return decorate

    # -- what was declared

    @property
    def agents(self) -> tuple[Agent[Any], ...]:
        return tuple(self._agents)

    @property
    def pages(self) -> tuple[Page, ...]:
        return tuple(self._pages)

    @property
    def commands(self) -> Mapping[str, Callable[..., Any]]:
        return self._commands

    @property
    def topics(self) -> tuple[Topic[Any, Any], ...]:
        return tuple(self._builder.topics)

    @property
    def link(self) -> Link:
        """Ties what was declared to what runs it."""
        return self._builder.link

    def frozen(self) -> Topology:
        """The finished topology: from the first call on, nothing can be declared any more."""
        if self._topology is None:
            for agent in self._agents:
                agent.declare()
            self._topology = self._builder.freeze()
        return self._topology

    def topology(self) -> Description:
        """Describes nodes, sub-topologies, tables and topics; prints as text, Mermaid or JSON."""
        return describe(self.frozen(), {}, self.settings.topic_partitions)

    def spec(self, settings: Settings | None = None) -> Spec:
        """Everything a worker needs, under these settings."""
        settings = settings or self.settings
        own = self._on_error if settings.origins.get("on_error") == KEYWORD else None
        return Spec(
            settings,
            self.frozen(),
            tuple(self._agents),
            tuple(self._timers),
            tuple(self._crontabs),
            tuple(self._jobs),
            tuple(self._startup),
            tuple(self._shutdown),
            on_error=own or NAMED[settings.on_error],
        )

    # -- running

    def worker(self, *, bounded: bool = False, siblings: Siblings | None = None, **overrides: Any) -> Running:
        """A worker under this application's settings and `overrides`; run it with `await worker.run()`.

        `siblings` are the processes that share its web port, if there are any: see `app worker --processes`.
        """
        settings = override(self.settings, overrides)
        if bounded:
            settings = replace(settings, cache_max_bytes=0)
        transport = make_transport(
            settings.broker,
            clock=(clock := SystemClock()),
            consumer_config=settings.consumer_config,
            producer_config=settings.producer_config,
        )
        backend = make_backend(settings.store_url, settings.data_dir, settings.app_id)
        port = settings.web_port if settings.web_enabled else 0
        name = settings.group_instance_id or f"{socket.gethostname()}-{port or os.getpid()}"  # differs on one machine
        if siblings is not None:
            name = f"{name}-{siblings.number}"
            if settings.group_instance_id:
                settings = replace(settings, group_instance_id=name)
        return Running(
            self.spec(settings),
            transport,
            backend,
            clock,
            self.link,
            name=name,
            pages=self.pages,
            bounded=bounded,
            siblings=siblings,
        )

    async def run(self, *, bounded: bool = False, **overrides: Any) -> None:
        """Runs until it is cancelled, stopped or fails; `bounded`: until the present end of its topics."""
        await self.worker(bounded=bounded, **overrides).run()

    @asynccontextmanager
    async def running(self, **overrides: Any) -> AsyncIterator[Running]:
        """Runs inside somebody else's event loop, from the moment its tables are restored to the end of the block.

        Overrides are settings. What makes the worker fail is raised at the end of the block.
        """
        running = self.worker(**overrides)
        work = asyncio.create_task(running.run(), name=f"worker of {self.id}")
        ready = asyncio.create_task(running.ready())
        try:
            await asyncio.wait((work, ready), return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
            yield running
        finally:
            ready.cancel()
            running.stop()
            await work

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """The command line `app`, for this application."""
        command_line(self, arguments)


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", type(function).__name__)
