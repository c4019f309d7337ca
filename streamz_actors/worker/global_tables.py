"""Global tables: every worker reads all of their topics, to the end before anything else runs, then for ever."""

from collections.abc import Mapping
from pathlib import Path

from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.dataflow.topology import GlobalSpec
from streamz_actors.stores.select import make_backend
from streamz_actors.tables.mapping import State
from streamz_actors.tasks.restore import apply
from streamz_actors.transport.abc import Reader, Transport
from streamz_actors.types import TopicPartition


class GlobalTables:
    """Kept in memory and read anew at each start: a worker's copy is its own, two on one machine cannot share one."""

    def __init__(
        self, transport: Transport, specs: tuple[GlobalSpec, ...], patience: float, read_committed: bool = False
    ) -> None:
        self._transport, self._specs, self._patience = transport, specs, patience
        self._read_committed = read_committed
        self._backend = make_backend("memory://", Path(), "")
        self._reader: Reader | None = None
        self._tables: dict[str, list[State]] = {}
        self._positions: dict[TopicPartition, int] = {}
        self.states: dict[str, State] = {}
        self.loaded = False

    def _open(self) -> None:
        for spec in self._specs:
            store = self._backend.open(f"global-{spec.name}", {spec.name: ""}).stores[spec.name]
            store_spec = StoreSpec(
                spec.name,
                spec.topic.key_schema,
                spec.topic.value_schema,
                spec.topic,
                source=True,
                per_partition=True,
                kind="global",
            )
            self.states[spec.name] = state = State(store_spec, store, -1, 1)
            self._tables.setdefault(spec.topic.name, []).append(state)

    async def load(self, counts: Mapping[str, int]) -> None:
        """Opens the tables and reads every topic to where it ends now."""
        if not self._specs:
            self.loaded = True
            return
        self._open()
        places = [TopicPartition(name, partition) for name in self._tables for partition in range(counts[name])]
        self._positions = await self._transport.admin.beginning_offsets(places)
        self._reader = self._transport.reader(read_committed=self._read_committed)
        await self._reader.start()
        self._reader.assign(self._positions)
        await self.catch_up()
        self.loaded = True

    async def catch_up(self) -> None:
        """Reads on until the ends that the topics have now are reached."""
        if self._reader is None:
            return
        ends = await self._transport.admin.end_offsets(list(self._positions))
        while any(self._positions[place] < end for place, end in ends.items()):
            await self._turn(self._reader)

    async def follow(self) -> None:
        """Reads on until cancelled."""
        while self._reader is not None:
            await self._turn(self._reader)

    async def _turn(self, reader: Reader) -> None:
        for raw in await reader.poll(self._patience):
            for state in self._tables[raw.topic]:
                await apply(state.logged.store, raw)
                state.logged.drop()
        for place in self._positions:
            self._positions[place] = reader.position(place)

    @property
    def positions(self) -> dict[TopicPartition, int]:
        """Where its reader stands."""
        return dict(self._positions)

    async def close(self) -> None:
        if self._reader is not None:
            await self._reader.stop()
        self._backend.close()
