"""One actor: runs an agent's function over its lane, and decides what becomes of an event that failed.

waiting ──event──▶ handling ──next asked for──▶ done ──▶ waiting
                      │ raised: writes undone, yields dropped
                      ├─ Retry, attempts left ──▶ waits, other keys go on ──▶ handling (a fresh generator)
                      ├─ Skip, DeadLetter ──▶ done (a fresh generator)
                      └─ Fail ──▶ the worker stops at this offset
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from streamz_actors.agents.columns import RefusedOf
from streamz_actors.agents.lane import Lane
from streamz_actors.agents.outbox import Outbox
from streamz_actors.agents.replies import Asked, asked
from streamz_actors.agents.stream import AgentStream
from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.context import Context, current, sending
from streamz_actors.dataflow.node import Place
from streamz_actors.dataflow.policies import Final, Policy, Retry
from streamz_actors.errors import ProduceError, StreamzError, UsageError


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What the actors of one agent have in common."""

    name: str
    function: Callable[[AgentStream[Any, Any]], Any]
    on_error: Policy
    supervisor: str
    answer: Callable[[Asked, Any, BaseException | None, Callable[[ProduceError], None]], None]
    """Sends the reply to an event that asked for one. The function is told if the broker refuses it for what it says.
    """


class Actor:
    """Runs until it is cancelled, or until it has told its place that the worker must stop."""

    def __init__(
        self,
        behaviour: Behaviour,
        place: Place,
        lane: Lane,
        outbox: Outbox,
        context: Context,
        refused: RefusedOf,
    ) -> None:
        self._behaviour, self._place, self._lane, self._outbox, self._context = behaviour, place, lane, outbox, context
        self._refused = refused
        self._followed = any(state.followed for state in context.states.values())

    async def run(self) -> None:
        current.set(self._context)
        sending.set(self._place.collector)
        try:
            while await self._settled():
                pass
        except Exception as error:  # of a policy's own function, not of the event
            self._place.failed(error)

    async def _settled(self) -> bool:
        """Runs the function once and deals with what it leaves. Whether the actor goes on."""
        before = self._lane.finished
        try:
            await self._drive()
            await self._end_event()
        except asyncio.CancelledError as cancelled:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return await self._failed(cancelled)
        except Exception as error:
            return await self._failed(error)
        return self._returned(before)

    async def _drive(self) -> None:
        """Runs the function once: until it returns or raises."""
        self._context.batch = None
        stream: AgentStream[Any, Any] = AgentStream(self._lane, self._context, self._place.clock, self)
        running: Any = self._behaviour.function(stream)
        try:
            if isinstance(running, AsyncGenerator):
                await self._collect(running)
            else:
                await running
        finally:
            await stream.close()

    async def _collect(self, running: AsyncGenerator[Any, None]) -> None:
        put, context = self._outbox.put, self._context
        try:
            async for out in running:
                if context.batch is None:
                    raise UsageError(f"{self._behaviour.name} yields before it has read an event")
                put(context.batch, context.index, out)
        finally:
            await running.aclose()

    def watches(self, batch: Batch) -> bool:
        return batch.headers is not None or self._outbox.holds or self._followed or self._lane.eager

    def finish(self) -> Any:
        return self._finish_calls() if self._outbox.holds else self._close_event()

    async def _finish_calls(self) -> None:
        await self._outbox.call()
        self._close_event()

    def _close_event(self) -> None:
        self._answer(None)  # first, because an answer that cannot be written is the event's failure
        journal = self._context.journal
        if journal:
            if self._followed:
                self._tell_changes()
            journal.clear()
        self._outbox.done()
        if self._lane.eager:
            self._place.wake()

    async def _end_event(self) -> None:
        """The function has returned: the event in hand, if there is one, is done."""
        if self._lane.busy:
            if (rest := self.finish()) is not None:
                await rest
            self._lane.done()

    def _tell_changes(self) -> None:
        """The event's writes, as changes, to those who follow the tables."""
        context = self._context
        batch = context.batch
        for state, raw, before, written in context.journal:
            if state.followed and batch is not None:
                self._place.changed(state.spec.name, state.change(raw, before, written, batch, context.index))

    def _answer(self, error: BaseException | None) -> None:
        for batch, rows in self._lane.in_hand():
            if batch.headers is None:
                continue
            for row in rows:
                request = asked(batch.headers[row])
                if request is not None:
                    refused = partial(self._refused, batch, row)
                    self._behaviour.answer(request, self._outbox.first, error, refused)

    def _undo(self) -> None:
        context = self._context
        for state, raw, before, written in reversed(context.journal):
            state.undo(raw, before, written)
        context.journal.clear()
        self._outbox.drop()

    async def _failed(self, error: BaseException) -> bool:
        """Whether the actor goes on."""
        self._undo()
        hand = self._lane.in_hand()
        behaviour = self._behaviour
        if not hand:
            self._place.failed(error if isinstance(error, StreamzError) else _outside(behaviour.name, error))
            return False
        attempts, policy = self._lane.attempts + 1, behaviour.on_error
        if isinstance(policy, Retry):
            if attempts <= policy.attempts:
                await self._try_again(policy.pause(attempts))
                return True
            policy = policy.then
        return self._give_up(policy, hand, error, attempts)

    async def _try_again(self, seconds: float) -> None:
        """The event waits beside the others; where that can't be, everything waits for it."""
        if seconds > 0 and self._lane.park(seconds, self._place.clock):
            return
        await self._pause(seconds)
        self._lane.put_back()

    async def _pause(self, seconds: float) -> None:
        self._lane.timer_waits += 1
        try:
            await self._place.clock.sleep(seconds)
        finally:
            self._lane.timer_waits -= 1

    def _give_up(self, policy: Final, hand: list[tuple[Batch, Any]], error: BaseException, attempts: int) -> bool:
        self._answer(error)
        try:
            for batch, rows in hand:
                for row in rows:
                    self._place.give_up(f"agent {self._behaviour.name!r}", policy, batch, row, error, attempts)
        except StreamzError as last:
            self._place.failed(last)
            return False
        self._lane.done()
        self._place.wake()
        return True

    def _returned(self, before: int) -> bool:
        """The function has ended by itself, and the event in hand is done. Whether the actor goes on."""
        name = self._behaviour.name
        if self._lane.finished == before:
            self._place.failed(UsageError(f"agent {name!r} returned without reading an event from its stream"))
            return False
        if self._behaviour.supervisor == "stop":
            self._place.failed(UsageError(f'agent {name!r} returned, and its supervisor is "stop"'))
            return False
        return True


def _outside(name: str, error: BaseException) -> UsageError:
    failure = UsageError(f"agent {name!r} failed while it had no event in hand: {type(error).__name__}: {error}")
    failure.__cause__ = error
    return failure
