"""All legs of one task, dealt with as one."""

from collections.abc import Mapping

from streamz_actors.dataflow.node import Leg, Node
from streamz_actors.types import TopicPartition


class Legs:
    def __init__(self, by_node: Mapping[Node, Leg]) -> None:
        self.by_node = by_node
        self.all = tuple(by_node.values())

    def drain(self) -> None:
        """As `Leg.drain`, and so are the others."""
        for leg in self.all:
            leg.drain()

    def freeze(self) -> None:
        for leg in self.all:
            leg.freeze()

    def resume(self) -> None:
        for leg in self.all:
            leg.resume()

    def flush(self) -> None:
        for leg in self.all:
            leg.flush()

    async def stop(self) -> None:
        for leg in self.all:
            await leg.stop()

    def stands(self) -> bool:
        return all(leg.stands() for leg in self.all)

    def drained(self) -> bool:
        return all(leg.drained() for leg in self.all)

    def idle(self) -> bool:
        return all(leg.idle() for leg in self.all)

    def room(self) -> bool:
        return all(leg.room() for leg in self.all)

    def pending(self) -> int:
        return sum(leg.pending() for leg in self.all)

    def lower(self, offsets: dict[TopicPartition, int]) -> None:
        """Lowers positions to the lowest offset that is not done."""
        for leg in self.all:
            for partition, offset in leg.unfinished().items():
                if offset < offsets.get(partition, 0):
                    offsets[partition] = offset
