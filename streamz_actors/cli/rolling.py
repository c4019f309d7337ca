"""Replaces the processes one after the other, so that they run what lies on the disk now, and somebody always works.

For each, first those that are down and then in the order of their numbers:

    1  its replacement is started beside it, imports the application, checks its settings, and waits
    2  the old one is asked to end: it finishes what is in hand, commits and leaves
    3  the replacement joins as soon as the old one is done with that; the next one's turn comes when it is ready

A replacement that fails in 1 has cost nothing: the rolling stops, and all work on as they are. One that fails in 3 is
started again like any other process that ends; the rolling stops, so that the others keep working.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from streamz_actors.cli.slot import Living, Slot

logger = logging.getLogger("streamz_actors.cli")


class Rolling:
    """`start` begins the replacement of a slot's process, held. Asked while it rolls, it rolls once more afterwards."""

    def __init__(self, slots: Sequence[Slot], start: Callable[[Slot], Living]) -> None:
        self._slots, self._start = slots, start
        self._asked = asyncio.Event()
        self._stopped = False
        self._heir: Living | None = None

    def ask(self) -> None:
        self._asked.set()

    def stop(self) -> None:
        """Nothing is replaced any more, and a replacement that waits ends."""
        self._stopped = True
        if self._heir is not None:
            self._heir.life.stop()

    def kill(self) -> None:
        if self._heir is not None:
            self._heir.life.kill()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self._roll()

    async def _roll(self) -> None:
        logger.info("rolling: %d processes are replaced one after the other", len(self._slots))
        for slot in sorted(self._slots, key=lambda slot: slot.now is not None):
            if self._stopped or not await self._replace(slot):
                return
        logger.info("rolled: %d processes have been replaced", len(self._slots))

    async def _replace(self, slot: Slot) -> bool:
        heir = self._heir = self._start(slot)
        try:
            if not await heir.reaches(heir.life.loaded):
                self._give_up(slot, heir, "all work on as they are")
                return False
            old = slot.now
            slot.hand_over(heir)
            if old is not None and await old.reaches(old.life.done):
                heir.life.release()
            if await heir.reaches(heir.life.ready):
                return True
            self._give_up(slot, heir, "the others work on as they are")
            return False
        finally:
            self._heir = None
            if slot.now is not heir:  # whose end is seen to where it has its place
                heir.end.cancel()
                await asyncio.gather(heir.end, return_exceptions=True)

    def _give_up(self, slot: Slot, heir: Living, others: str) -> None:
        if not self._stopped:
            what = "the rolling stops: the replacement of process %d %s; %s"
            logger.error(what, slot.number, heir.end.result(), others)
