"""The supervisor: starts processes, starts them again when they end, replaces them and ends them in order.

    start ──▶ running ──it ends──▶ pause (0.5 s, doubling to 30 s) ──▶ running …
                 │                    ├── a replacement waits ──▶ running, at once
                 │                    └── stop ──▶ done
                 ├── wrongly called, before any was ever ready ──▶ stop all
                 ├── roll: see `rolling`
                 └── stop: asked, waited for ──▶ done

It knows nothing of what the processes do, and nothing of theirs can break it: no application code runs here. Of one
that dies it knows its place in the group, and passes that to `farewell` before it starts the next.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from streamz_actors.cli.control import Place
from streamz_actors.cli.life import Life
from streamz_actors.cli.restarts import Backoff, End, exit_code, hopeless, is_missed
from streamz_actors.cli.rolling import Rolling
from streamz_actors.cli.slot import Living, Slot
from streamz_actors.clock import Clock

logger = logging.getLogger("streamz_actors.cli")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The exit code of all together, and the message that belongs to it where there is one."""

    code: int
    message: str = ""


async def _no_farewell(number: int, place: Place) -> None:
    """The group finds out by itself."""


class Supervisor:
    """Keeps `count` processes of one command running, numbered from 1, which inherit the sockets `listeners`.

    `farewell` gets the number and the place of one that died; it must not raise, nor take long.
    """

    def __init__(
        self,
        command: Sequence[str],
        count: int,
        listeners: Sequence[socket.socket],
        clock: Clock,
        backoff: Callable[[], Backoff] = Backoff,
        farewell: Callable[[int, Place], Awaitable[None]] = _no_farewell,
    ) -> None:
        self._command, self._count, self._listeners = tuple(command), count, tuple(listeners)
        self._clock, self._backoff, self._farewell = clock, backoff, farewell
        self._slots = [Slot(number) for number in range(1, count + 1)]
        self._rolling = Rolling(self._slots, self._start_held)
        self._ends: dict[int, End] = {}
        self._stopping = False
        self._hopeless: End | None = None
        self._any_ready = False
        self._all_ready = False

    async def run(self) -> Outcome:
        """Returns after `stop`, or an end that is that of all, when every process has ended."""
        rolling = asyncio.create_task(self._rolling.run(), name="rolling")
        try:
            async with asyncio.TaskGroup() as group:
                for slot in self._slots:
                    group.create_task(self._keep(slot), name=f"slot {slot.number}")
        finally:
            rolling.cancel()
            await asyncio.gather(rolling, return_exceptions=True)
        if self._hopeless is not None:
            return Outcome(self._hopeless.code, self._hopeless.message)
        return Outcome(exit_code(self._ends.values()))

    def roll(self) -> None:
        """Replaces the processes one after the other."""
        self._rolling.ask()

    def stop(self) -> None:
        """Nothing is started any more, nothing accepted; the processes are asked to end."""
        self._stopping = True
        for listener in self._listeners:
            listener.close()
        self._rolling.stop()
        for slot in self._slots:
            slot.hurry.set()
            if slot.life is not None:
                slot.life.stop()

    def kill(self) -> None:
        """Ends every process at once, without waiting. May be called by a signal handler."""
        self._rolling.kill()
        for slot in self._slots:
            if slot.life is not None:
                slot.life.kill()

    # -- one process after the other

    async def _keep(self, slot: Slot) -> None:
        backoff = self._backoff()
        while not self._stopping:
            end, place = await self._live(slot)
            self._ends[slot.number] = end
            await self._follow(slot, end, place, backoff)

    async def _live(self, slot: Slot) -> tuple[End, Place | None]:
        """How it ended, and the place in the group that it had."""
        living = slot.now = slot.take_heir() or self._start(slot)
        slot.hurry.clear()
        if living.life.held:
            living.life.release()
        self._changed()
        try:
            return await living.end, living.life.place
        finally:
            slot.port, slot.now = living.life.port, None
            self._changed()

    async def _follow(self, slot: Slot, end: End, place: Place | None, backoff: Backoff) -> None:
        """What an end entails, up to the moment of the next start."""
        pause = 0.0
        if self._stopping:
            if end.code and self._hopeless is None:  # else they all say the same
                logger.error("process %d %s", slot.number, end)
        elif slot.heir is not None:
            logger.log(_level(end), "process %d %s; its replacement takes over", slot.number, end)
        elif hopeless(end, any_ready=self._any_ready):
            self._hopeless = end
            self.stop()
        else:
            pause = backoff.after(end)
            again = "process %d %s; it is started again in %g s"
            logger.log(_level(end), again, slot.number, end, pause)
        if place is not None and is_missed(end, static=place.instance is not None, pause=pause):
            await self._farewell(slot.number, place)
        await _pause(slot, pause)

    def _start(self, slot: Slot, *, held: bool = False) -> Living:
        port = slot.port if slot.life is None else slot.life.port
        life = Life(slot.number, port, self._clock, self._changed, held=held)
        return Living(life, life.begin(self._command, self._count, self._listeners))

    def _start_held(self, slot: Slot) -> Living:
        return self._start(slot, held=True)

    def _changed(self) -> None:
        """Something has become known of a process: all are told where all are."""
        lives = [life for slot in self._slots if (life := slot.life) is not None]
        addresses = {str(slot.number): "" if slot.life is None else slot.life.address for slot in self._slots}
        for life in lives:
            life.tell({"siblings": addresses})
        ready = [life for life in lives if life.ready.is_set()]
        self._any_ready = self._any_ready or bool(ready)
        before, self._all_ready = self._all_ready, len(ready) == self._count
        if self._all_ready and not before:
            logger.info("ready: %d processes", self._count)


def _level(end: End) -> int:
    return logging.ERROR if end.code else logging.INFO


async def _pause(slot: Slot, seconds: float) -> None:
    """Ends early when there is a reason to hurry."""
    if seconds <= 0:
        return
    try:
        async with asyncio.timeout(seconds):
            await slot.hurry.wait()
    except TimeoutError:
        return
