"""The place of one process among several: who has it now, and who is to have it next."""

import asyncio
from dataclasses import dataclass, field

from streamz_actors.cli.life import Life
from streamz_actors.cli.restarts import End


@dataclass(frozen=True, slots=True)
class Living:
    """A process, and the task that ends when it does."""

    life: Life
    end: "asyncio.Task[End]"

    async def reaches(self, moment: asyncio.Event) -> bool:
        """Whether `moment` comes before the end. The process goes on if this is cancelled."""
        waiting = asyncio.ensure_future(moment.wait())
        try:
            await asyncio.wait((waiting, self.end), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        return moment.is_set() and not self.end.done()


@dataclass(eq=False, slots=True)
class Slot:
    number: int
    port: int = 0
    """That its process has, or had, beside the shared one; 0 if there was none."""
    now: Living | None = None
    """None between two lives."""
    heir: Living | None = None
    """It has loaded, and waits for the end of the one before it."""
    hurry: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the next life must not be waited for any longer."""

    @property
    def life(self) -> Life | None:
        return None if self.now is None else self.now.life

    def hand_over(self, heir: Living) -> None:
        """`heir` is next, as soon as the present process has ended, which is asked to."""
        self.heir = heir
        self.hurry.set()
        if self.now is not None:
            self.now.life.stop()

    def take_heir(self) -> Living | None:
        """The one that is next, if it still lives."""
        heir, self.heir = self.heir, None
        return heir if heir is not None and not heir.end.done() else None
