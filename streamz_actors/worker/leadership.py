"""Whether this worker leads its application: exactly one of a group does, and `on_leader` work runs there."""

import asyncio


class Leadership:
    """Told by each rebalance. A worker that has lost its group and does not know it believes what it was told last."""

    def __init__(self) -> None:
        self._gained, self._lost = asyncio.Event(), asyncio.Event()
        self._lost.set()

    def __bool__(self) -> bool:
        return self._gained.is_set()

    def tell(self, leads: bool) -> None:
        now, past = (self._gained, self._lost) if leads else (self._lost, self._gained)
        now.set()
        past.clear()

    async def gained(self) -> None:
        """Returns as soon as it leads."""
        await self._gained.wait()

    async def lost(self) -> None:
        """Returns as soon as it does not lead."""
        await self._lost.wait()
