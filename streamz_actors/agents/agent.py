"""Agents as they are declared, and how the outside speaks to them: cast, ask, map, join."""

import asyncio
import inspect
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from streamz_actors.agents.actor import Behaviour
from streamz_actors.agents.channel import Channel
from streamz_actors.agents.columns import Given
from streamz_actors.agents.inbox import Inbox
from streamz_actors.agents.outbox import Call
from streamz_actors.agents.replies import Asked, answer_record, reply_schema
from streamz_actors.dataflow.event import Out
from streamz_actors.dataflow.node import Node, Place
from streamz_actors.dataflow.policies import DeadLetter, Fail, Policy, Retry, Skip
from streamz_actors.dataflow.topics import Topic
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import ProduceError, TopologyError, UsageError
from streamz_actors.serde.schema import Schema, schema_for
from streamz_actors.serde.traits import without_none
from streamz_actors.streams.inference import common, schema_of
from streamz_actors.streams.stream import GroupedStream, Stream, source_stream
from streamz_actors.types import RecordMetadata

logger = logging.getLogger("streamz_actors.agents")

V = TypeVar("V")
Derived = Topic[Any, Any] | Stream[Any, Any] | GroupedStream[Any, Any]
Source = Derived | Channel[Any]


class Agent(Generic[V]):
    """Made by `@app.agent(...)`. Sinks may be added until the application starts."""

    def __init__(
        self,
        builder: TopologyBuilder,
        function: Callable[..., Any],
        source: Source | Sequence[Topic[Any, Any]] | None,
        *,
        name: str | None = None,
        concurrency: int = 1,
        ordering: str = "key",
        sinks: Iterable[Any] = (),
        tables: Iterable[Any] | None = None,
        on_error: Policy | None = None,
        supervisor: str = "restart",
    ) -> None:
        """Without a source it waits for a stream that goes through it."""
        self.name = name or function.__name__
        self._builder, self._function, self.source = builder, function, source
        self.concurrency, self.on_error, self.supervisor = concurrency, on_error, supervisor
        self.tables = None if tables is None else tuple(name for table in tables for name in named(table))
        self._topics: list[Topic[Any, Any]] = []
        self._calls: list[Call] = []
        self._channels: list[Channel[Any]] = []
        self._node: Node | None = None
        self._stream: Stream[Any, Any] | None = None
        self._given: Given | None = None
        self._reply = reply_schema(_return_type(function))
        self._check(ordering)
        builder.agent(self.name)
        builder.claimed.update(self.tables or ())
        for sink in sinks:
            self.add_sink(sink)

    def _check(self, ordering: str) -> None:
        def bad(what: str) -> TopologyError:
            return TopologyError(f"agent {self.name!r}: {what}")

        if not (inspect.iscoroutinefunction(self._function) or inspect.isasyncgenfunction(self._function)):
            raise bad("an agent is an `async def` function of one stream")
        if self.concurrency < 1:
            raise bad(f"concurrency={self.concurrency} must be at least 1")
        if ordering != "key":
            raise bad(f'ordering={ordering!r}: only "key" is offered')
        if self.supervisor not in ("restart", "stop"):
            raise bad(f'supervisor={self.supervisor!r} must be "restart" or "stop"')
        if not isinstance(self.on_error, Fail | Skip | Retry | DeadLetter | None):
            raise bad(f"on_error={self.on_error!r} must be Fail(), Skip(), Retry(...) or DeadLetter(...)")

    # -- declaring

    def add_sink(self, sink: Any) -> None:
        """A topic, a channel, another agent, or a function of the yielded value (sync or async)."""
        if isinstance(sink, Topic):
            if len(sink.names) > 1:
                raise TopologyError(f"agent {self.name!r}: topics {sink} are read together: name one as its sink")
            if self._node is not None:
                raise TopologyError(f"agent {self.name!r}: name its sinks before its yields are used as a stream")
            self._topics.append(sink)
        elif isinstance(sink, Agent):
            self.add_sink(sink.addressed())
        elif isinstance(sink, Channel):
            self._channels.append(sink)
        elif callable(sink):
            self._calls.append(sink)
        else:
            raise TopologyError(
                f"agent {self.name!r}: {sink!r} is no sink: a topic, a channel, an agent or a function is"
            )

    def declare(self) -> None:
        """Adds the agent to the topology, now that its sinks are known."""
        if self._node is not None:
            return
        if self.source is None:
            raise TopologyError(f"agent {self.name!r} has no source: pass one, or use stream.through_agent(...)")
        if inspect.isasyncgenfunction(self._function) and not self._has_readers:
            raise TopologyError(
                f"agent {self.name!r} yields, but that reaches nobody: give it sinks=[...], or a topic as its "
                f"source so that it can be asked"
            )
        if isinstance(self.source, Channel):
            return
        self._node = self._builder.add(
            Node(
                self.name,
                "agent",
                self.inbox,
                parents=tuple(stream.node for stream in self._followed(self.source)),
                sends=tuple(self._topics),
                reads_keys=False,
                agent=True,
                named_tables=self.tables,
            )
        )

    @property
    def _has_readers(self) -> bool:
        return self._has_sinks or self._given is not None or self._entry is not None

    def follow(self, stream: Stream[Any, Any]) -> None:
        """A stream goes through it: its source, if it has none yet. Raises TopologyError if it follows another."""
        if self.source is None:
            self.source = stream
        elif isinstance(self.source, Channel) or [stream.node] != [each.node for each in self._followed(self.source)]:
            raise TopologyError(
                f"agent {self.name!r} has a source of its own, which is not stream {stream.name!r}: use "
                f"app.stream(agent), or declare the agent without a source"
            )

    def stream(self, *, key_type: Any = None, value_type: Any = None, rekeyed: bool = False) -> Stream[Any, Any]:
        """What it yields, as a stream on the same topology: no topic is between, and an event counts as done only when
        its yields have passed the operators behind.

        Rows have the event's key and timestamp, or those that `Out` names. `rekeyed`: keys may be others than the
        events' (implied by `key_type`). `value_type` defaults to the X of `-> AsyncIterator[X]`.
        """
        if self._stream is None:
            self._stream = self._yields(key_type, value_type, rekeyed or key_type is not None)
        elif key_type is not None or value_type is not None or rekeyed:
            raise TopologyError(f"agent {self.name!r} is a stream already: its types are said once, at first")
        return self._stream

    def _yields(self, key_type: Any, value_type: Any, rekeyed: bool) -> Stream[Any, Any]:
        if self.source is None or isinstance(self.source, Channel):
            raise TopologyError(f"agent {self.name!r} follows no topic or stream, so its yields are no stream")
        if not inspect.isasyncgenfunction(self._function):
            raise TopologyError(f"agent {self.name!r} does not yield, so that there is no stream of it")
        followed = self._followed(self.source)
        key = common([stream.key_schema for stream in followed], key=True)
        key = key if key_type is None else schema_for(key_type, key=True)
        self._given = Given(self.name, key, schema_of(value_type, yielded(self._function)), rekeyed)
        self.declare()
        assert self._node is not None
        moved = rekeyed or any(stream.rekeyed for stream in followed)
        return Stream(self._builder, self._node, self.name, key, self._given.value_schema, rekeyed=moved)

    @property
    def _has_sinks(self) -> bool:
        return bool(self._topics or self._calls or self._channels)

    def _followed(self, source: Derived | Sequence[Topic[Any, Any]]) -> tuple[Stream[Any, Any], ...]:
        """What it gets its events from, as streams."""
        if isinstance(source, Stream):
            return (source,)
        if isinstance(source, GroupedStream):
            keys = self._table_keys() if source.key_schema.type is Any else None
            return (source.stream(key_schema=keys),)
        topics = [source] if isinstance(source, Topic) else list(source)
        for topic in topics:
            if not isinstance(topic, Topic):
                raise TopologyError(f"agent {self.name!r}: {topic!r} is no source: topics, a channel or a stream are")
        return tuple(source_stream(self._builder, topic) for topic in topics)

    def _table_keys(self) -> Schema[Any] | None:
        """How the tables of its body write their keys, if they agree: what a group without a key type goes by."""
        tables = self._builder.tables
        names = tables.keys() - self._builder.claimed if self.tables is None else self.tables
        schemas = {tables[name].key_schema for name in names if name in tables and not tables[name].source}
        return schemas.pop() if len(schemas) == 1 else None

    def inbox(self, place: Place) -> Inbox:
        """Its behaviour in one task, or in the whole worker for a channel."""
        policy = self.on_error or place.on_error
        behaviour = Behaviour(self.name, self._function, policy, self.supervisor, self._answer)
        return Inbox(
            behaviour,
            place,
            self._visible(place),
            tuple(self._topics),
            tuple(self._calls),
            self.concurrency,
            channels=tuple(self._channels),
            eager=isinstance(self.source, Channel) and self.source.maxsize > 0,
            given=self._given,
        )

    def _visible(self, place: Place) -> dict[str, Any]:
        """The tables its body may use: those it names, else those that no agent names; global ones always."""
        hidden = self._builder.claimed if self.tables is None else self._builder.tables.keys() - set(self.tables)
        return {name: state for name, state in place.states.items() if name not in hidden}

    # -- speaking to it

    @property
    def _entry(self) -> Topic[Any, Any] | Channel[Any] | None:
        """Where a value for the agent is sent; None if it follows a derived stream."""
        if isinstance(self.source, Topic):
            return self.source if len(self.source.names) == 1 else None
        if isinstance(self.source, Channel):
            return self.source
        if self.source is None or isinstance(self.source, Stream | GroupedStream) or len(self.source) != 1:
            return None
        return self.source[0]

    def addressed(self) -> Any:
        """Where a value for it is sent. Raises UsageError for one that follows several topics or a derived stream."""
        if self._entry is None:
            raise UsageError(
                f"agent {self.name!r} follows several topics or a derived stream: send to the topic you mean"
            )
        return self._entry

    async def cast(self, value: Any, *, key: Any = None) -> RecordMetadata:
        """Sends it a value and returns once that is delivered, not handled."""
        metadata: RecordMetadata = await self.addressed().send(value=value, key=key)
        return metadata

    async def ask(self, value: Any, *, key: Any = None, timeout: float | None = None) -> Any:
        """Sends it a value and returns its first yield for it, or None when it is done without one.

        Raises TimeoutError after `timeout` seconds, and AskFailed if the agent failed on the value.
        """
        runtime = self._builder.link.get(f"asking agent {self.name!r}")
        headers, future = await runtime.question()
        if timeout is not None:
            timer = runtime.clock.call_later(timeout, lambda: _time_out(future, self.name, timeout))
            future.add_done_callback(lambda _: timer.cancel())
        try:
            await self.addressed().send(value=value, key=key, headers=headers)
            return self._reply.decode(await future)
        finally:
            future.cancel()

    async def map(
        self, values: Iterable[Any] | AsyncIterable[Any], *, key: Any = None, timeout: float | None = None
    ) -> AsyncIterator[Any]:
        """Asks for every value at once and gives the answers as they come."""
        pairs = [(key, value) async for value in _each(values)]
        async for answer in self.kvmap(pairs, timeout=timeout):
            yield answer

    async def kvmap(
        self, items: Iterable[tuple[Any, Any]] | AsyncIterable[tuple[Any, Any]], *, timeout: float | None = None
    ) -> AsyncIterator[Any]:
        """As `map`, each value under its own key."""
        asking = [asyncio.ensure_future(self.ask(value, key=key, timeout=timeout)) async for key, value in _each(items)]
        try:
            for answer in asyncio.as_completed(asking):
                yield await answer
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def join(
        self, values: Iterable[Any] | AsyncIterable[Any], *, key: Any = None, timeout: float | None = None
    ) -> list[Any]:
        """Asks for every value at once and gives the answers in the order of the values."""
        asking = [asyncio.ensure_future(self.ask(value, key=key, timeout=timeout)) async for value in _each(values)]
        try:
            return await asyncio.gather(*asking)
        finally:
            for task in asking:
                task.cancel()

    def _answer(
        self, request: Asked, value: Any, error: BaseException | None, refused: Callable[[ProduceError], None]
    ) -> None:
        """Whoever asked hears as well if the answer is refused. That nobody is there any more is no failure."""
        runtime = self._builder.link.get("answering")

        def lost(row: int, why: ProduceError) -> None:
            logger.warning("agent %r: an answer was not delivered: %s", self.name, why)

        def instead(row: int, why: ProduceError) -> None:
            if why.lasting:
                lost(row, why)
                return
            runtime.answer(request.topic, request.correlation, *answer_record(self._reply, None, why), lost)
            refused(why)

        answer = answer_record(self._reply, value, error)
        runtime.answer(request.topic, request.correlation, *answer, lost if error is not None else instead)


def yielded(function: Callable[..., Any]) -> Any:
    """X of `-> AsyncIterator[X]` and of `-> AsyncIterator[Out[X]]`; Any where nothing is said."""
    arguments = get_args(_return_type(function))
    item = arguments[0] if arguments else Any
    if get_origin(item) is Out:
        item = get_args(item)[0]
    return without_none(item)


def _return_type(function: Callable[..., Any]) -> Any:
    """X of `-> AsyncIterator[X]`, where the function says so in a way that can be resolved."""
    try:
        annotation = get_type_hints(function).get("return", Any)
    except (NameError, TypeError):
        return Any
    return annotation if get_args(annotation) else Any


def _time_out(future: "asyncio.Future[bytes | None]", name: str, seconds: float) -> None:
    if not future.done():
        future.set_exception(TimeoutError(f"agent {name!r} did not answer within {seconds:g} s"))


async def _each(values: Iterable[Any] | AsyncIterable[Any]) -> AsyncIterator[Any]:
    if isinstance(values, AsyncIterable):
        async for value in values:
            yield value
    else:
        for value in values:
            yield value


def named(table: Any) -> tuple[str, ...]:
    """The tables that one brings with it: what a versioned one was is kept in another."""
    return (table.name, *getattr(table, "beside", ()))
