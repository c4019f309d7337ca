"""A worker process that a supervisor has started: what it tells, and how it follows."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import asdict

import click

from streamz_actors.cli.control import Control, Place, Seat, inherited
from streamz_actors.tasks.restore import Progress
from streamz_actors.web.siblings import Siblings
from streamz_actors.worker.worker import Worker

logger = logging.getLogger("streamz_actors.cli")


class Child:
    """This process as one of several. It is an `Audience`: what it hears of the worker's start the supervisor hears."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat
        self._control = Control(inherited(seat.control))
        self._listeners = [inherited(number) for number in seat.listeners]
        self.siblings = Siblings(seat.number, seat.count, self._listeners, seat.own_port)
        self._may_begin = asyncio.Event()
        if not seat.held:
            self._may_begin.set()
        self._dismissed = False
        self._place: Place | None = None
        self._control.tell(started=True)

    @property
    def number(self) -> int:
        return self._seat.number

    @property
    def overrides(self) -> dict[str, str]:
        """Settings of all processes: the port that the supervisor has got where any would do."""
        return {} if self._seat.port is None else {"web_port": str(self._seat.port)}

    def report(self, text: str) -> None:
        """Why it fails, for the supervisor to say. The last thing that it does."""
        if not self._control.fail(text):
            click.echo(f"error: process {self.number}: {text}", err=True)
        self.hang_up()

    def hang_up(self) -> None:
        """Gives back what it was given."""
        self._control.close()
        for sock in self._listeners:
            sock.close()

    def loaded(self) -> None:
        """Nothing of the user's stands in the way of a start."""
        self._control.tell(loaded=True)

    async def begins(self) -> bool:
        """Waits for its turn. False if it is to end without having begun."""
        await self._may_begin.wait()
        return not self._dismissed

    def dismiss(self) -> None:
        """It is to end, also if it has not begun."""
        self._dismissed = not self._may_begin.is_set()
        self._may_begin.set()

    async def follow(self, stop: Callable[[], None]) -> None:
        """Learns where the siblings are, until it is told to stop or nobody is left to tell it."""
        try:
            logger.info("%s: finishing what is in hand", await self._reason())
            await self.siblings.stop_accepting()
        finally:
            stop()

    def placed(self, place: Place) -> None:
        """It has a place in the group: others need to know that if it dies."""
        self._place = place
        self._control.tell(place=asdict(place))

    def done(self) -> None:
        """It has closed all that it had, and left its group, as it does at every end that it lives to see.

        A static member stays in the group. The interpreter needs some time more for its own end.
        """
        if self._place is not None and self._place.instance is None:
            self._control.tell(place=None)
        self._control.tell(done=True)

    async def _reason(self) -> str:
        async for order in self._control.orders():
            if "siblings" in order:
                self.siblings.addresses = {int(number): address for number, address in order["siblings"].items()}
            if "go" in order:
                self._may_begin.set()
            if "stop" in order:
                return "stopping"
        return "the supervisor has gone, so this process stops"

    # -- the start of its worker

    def serving(self, worker: Worker) -> None:
        self._control.tell(address=self.siblings.own)

    def restoring(self, progress: Progress | None) -> None:
        """The log tells of it."""

    def ready(self) -> None:
        self._control.tell(ready=True)

    def close(self) -> None:
        """There is nothing to be put away."""
