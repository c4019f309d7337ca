"""Streams joined with streams: records of one key meet whose times are within a window of each other.

Each side keeps its records for as long as partners may come, and looks into what the other side has kept. A record that
a left or an outer join is to emit without a partner waits, ordered by time, until its window and the grace are over.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.calls import Call, over_columns
from streamz_actors.dataflow.lateness import Lateness, OnLate
from streamz_actors.dataflow.node import Node, Operator, Place, StoreSpec, is_async
from streamz_actors.serde.packed import packed
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.buckets import NUMBER, Buckets, Rows, read, write
from streamz_actors.stores.logged import LoggedStore
from streamz_actors.stores.timebuffer import TimeBuffer
from streamz_actors.types import Headers
from streamz_actors.windows.definitions import JoinWindow

Function = Callable[..., Any]

FEW: Final = 8
"""Rows of which the places are not fetched together: it would cost more than it saves."""

LEFT: Final = 0
RIGHT: Final = 1


def kept_schema(values: Schema[Any]) -> Schema[Any]:
    """Of a store of records that wait for partners."""
    return packed(f"buckets/{values.codec}", write, read)


def waiting_schema(values: Schema[Any]) -> Schema[Any]:
    """Of a store of records that wait to be emitted without one."""
    return packed(f"unmatched/{values.codec}", _write_payloads, _read_payloads)


def _write_payloads(payloads: Sequence[bytes]) -> bytes:
    return b"".join(NUMBER.pack(len(payload)) + payload for payload in payloads)


def _read_payloads(raw: bytes) -> list[bytes]:
    payloads, at = [], 0
    while at < len(raw):
        start = at + NUMBER.size
        at = start + int(NUMBER.unpack_from(raw, at)[0])
        payloads.append(raw[start:at])
    return payloads


@dataclass(frozen=True, slots=True)
class Input:
    """One side of a join."""

    node: Node
    value: Schema[Any]
    kept: StoreSpec
    waiting: StoreSpec | None = None
    """Of the side whose unmatched records are emitted too."""


@dataclass(frozen=True, slots=True)
class StreamJoin:
    """What both sides have in common. `joiner` takes (left, right)."""

    name: str
    kind: str
    within: JoinWindow
    joiner: Function
    key: Schema[Any]
    result: Schema[Any]
    left: Input
    right: Input
    on_late: OnLate = None

    @property
    def what(self) -> str:
        return f"{self.kind} {self.name!r}"

    @property
    def itself(self) -> bool:
        """A stream with itself, without unmatched records: its records are kept once."""
        return self.left.kept is self.right.kept

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        specs = (self.left.kept, self.right.kept, self.left.waiting, self.right.waiting)
        return tuple(dict.fromkeys(spec for spec in specs if spec is not None))


def join_streams(join: StreamJoin) -> tuple[Node, ...]:
    """The nodes to add: one for each side, or one for both where a stream is joined with itself; the results come from
    what merges them.
    """
    memories: WeakKeyDictionary[Place, Memory] = WeakKeyDictionary()

    def memory(place: Place) -> Memory:
        found = memories.get(place)
        if found is None:
            found = memories[place] = Memory(join, place)
        return found

    def node(sides: Sequence[int], parent: Node) -> Node:
        return Node(
            join.name,
            join.kind,
            lambda place: JoinStreams(join, sides, memory(place), Lateness(join.what, place, join.on_late)),
            (parent,),
            stores=join.stores,
            reads_keys=False,
            asynchronous=is_async(join.joiner),
            copartitioned=True,
        )

    if join.itself:
        return (node((LEFT, RIGHT), join.left.node),)
    return node((LEFT,), join.left.node), node((RIGHT,), join.right.node)


Unmatched = tuple[int, bool, bytes, list[bytes]]
"""Time, whether it is of the left side, key, and the values that came under both."""


class Side:
    """What one side of a join remembers in one task."""

    __slots__ = ("after", "before", "kept", "value", "waiting")
    kept: Buckets

    def __init__(self, given: Input, place: Place, before: int, after: int) -> None:
        """`before` and `after` are seen from this side."""
        self.before, self.after, self.value = before, after, given.value
        self.waiting = None if given.waiting is None else TimeBuffer(place.states[given.waiting.name].logged)


class Memory:
    """What both sides of a join share in one task. It must not know the task, which it is found by."""

    __slots__ = ("__weakref__", "_grace", "_keeper", "_lowest", "sides", "stream_time")

    def __init__(self, join: StreamJoin, place: Place) -> None:
        within, keeper = join.within, join.left.waiting
        left = Side(join.left, place, within.before, within.after)
        right = Side(join.right, place, within.after, within.before)
        left.kept = right.kept = Buckets(place.states[join.left.kept.name].logged, max(1, within.retention))
        if not join.itself:
            right.kept = Buckets(place.states[join.right.kept.name].logged, max(1, within.retention))
        self.sides = (left, right)
        self._grace = within.grace
        self._keeper: LoggedStore | None = None if keeper is None else place.states[keeper.name].logged
        self._lowest: int | None = None
        """Nothing that waits was found below it when it was last looked through, and nothing came below it since; None:
        nothing waits.
        """
        self.stream_time: int | None = None
        """The highest time that came on either side; None until the first use: only then are the stores restored."""

    def now(self) -> int:
        if self.stream_time is None:
            kept = max(side.kept.newest for side in self.sides)
            self.stream_time = kept if self._keeper is None else max(kept, self._keeper.moment)
            waiting = [side.waiting.earliest for side in self.sides if side.waiting is not None]
            self._lowest = min((time for time in waiting if time is not None), default=None)
        return self.stream_time

    def settle(self, side: Side, stream_time: int) -> None:
        """After a run of one side."""
        side.kept.settle()
        if stream_time == self.stream_time:
            return
        self.stream_time = stream_time
        if self._keeper is not None:  # else nothing is decided by the time of both sides together
            self._keeper.note(stream_time)

    def wait(self, side: Side, time: int, key: bytes, payload: bytes) -> None:
        """For a partner."""
        waiting = side.waiting
        assert waiting is not None, "it is asked only for a side that emits what has met nobody"
        waiting.put(time, key, [*(waiting.get(time, key) or ()), payload], time)
        if self._lowest is None or time < self._lowest:
            self._lowest = time

    def closed(self, side: Side, stream_time: int) -> list[Unmatched]:
        """Takes out what can meet nobody any more, in order. It is looked for where a record of this side says that it
        is worth while, and not always as early as it could be found: as in Kafka Streams.
        """
        if self._lowest is None or self._lowest + side.after + self._grace >= stream_time:
            return []
        rows: list[Unmatched] = []
        for number, each in enumerate(self.sides):
            waiting, lag = each.waiting, each.after + self._grace
            while waiting is not None and (time := waiting.earliest) is not None and time + lag < stream_time:
                time, key, payloads, _ = waiting.pop()
                rows.append((time, number == LEFT, key, payloads))
        rows.sort()
        self._lowest = self._seen_last(rows)
        return rows

    def _seen_last(self, taken: list[Unmatched]) -> int | None:
        """Where the look through what waits has ended: by time, those of the right side first, until one of each side
        was found that has to go on waiting; at the one behind these, or at the very last.
        """
        left, right = self.sides[LEFT].waiting, self.sides[RIGHT].waiting
        first_left = None if left is None else left.first
        first_right = None if right is None else right.first
        if left is None or right is None or first_left is None or first_right is None:
            ends = [waiting.latest for waiting in (left, right) if waiting is not None]
            times = [time for time in ends if time is not None] + [row[0] for row in taken[-1:]]
            return max(times, default=None)
        if first_left[0] < first_right[0]:
            time, key = first_right
            behind = left.time_from(time), right.time_from(time, key + b"\0")
        else:
            time, key = first_left
            behind = left.time_from(time, key + b"\0"), right.time_from(time + 1)
        return min((later for later in behind if later is not None), default=time)


class Results:
    """Columns of joined rows: each made by a row of the batch, perhaps under another key."""

    __slots__ = ("keys", "lefts", "rights", "rows", "timestamps")

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.keys: list[bytes | None] = []
        self.timestamps: list[int] = []
        self.lefts: Column = []
        self.rights: Column = []

    def add(self, row: int, key: bytes | None, timestamp: int, left: Any, right: Any) -> None:
        self.rows.append(row)
        self.keys.append(key)
        self.timestamps.append(timestamp)
        self.lefts.append(left)
        self.rights.append(right)

    def alone(self, row: int, key: bytes | None, timestamp: int, value: Any, left: bool) -> None:
        """One that has met nobody."""
        self.add(row, key, timestamp, value if left else None, None if left else value)

    def batch(self, source: Batch, key: Schema[Any], value: Schema[Any]) -> Batch:
        """The rows, without values yet: under the origin of those that made them."""
        rows, offsets, headers = self.rows, source.offsets, source.headers
        picked: list[Headers] | None = None if headers is None else [headers[row] for row in rows]
        return Batch(
            source.origin,
            [offsets[row] for row in rows],
            self.timestamps,
            key,
            value,
            raw_keys=self.keys,
            headers=picked,
        )


class JoinStreams(Operator):
    """Takes the rows of one side, or of a stream that is both: then each row first as a left one."""

    def __init__(self, join: StreamJoin, sides: Sequence[int], memory: Memory, late: Lateness) -> None:
        self._join, self._memory, self._late = join, memory, late
        self._left = sides[0] == LEFT
        self._sides: tuple[Side, Side] = memory.sides if self._left else (memory.sides[RIGHT], memory.sides[LEFT])
        """Its own, then the other one."""
        self._both = len(sides) > 1
        self._call: Call = over_columns(join.joiner, join.what)

    async def process(self, batch: Batch) -> Batch | None:
        results, join = Results(), self._join
        self._memory.settle(self._sides[0], self._join_rows(batch, results))
        if not results.rows:
            return None
        out = results.batch(batch, join.key, join.result)
        out, values = await self._call.kept(self.guard, out, results.lefts, results.rights)
        return out.replace(values=(values, join.result))

    def _join_rows(self, batch: Batch, results: Results) -> int:
        """Gives the stream time after the rows."""
        memory, both, late = self._memory, self._both, self._late
        mine, theirs = self._sides
        before, after, waits = mine.before, mine.after, mine.waiting is not None
        buffered = waits or theirs.waiting is not None
        keep, between = mine.kept.add, theirs.kept.between
        stream_time = memory.now()
        for row, (key, place, value, payload, time) in enumerate(self._rows(batch)):
            if time > stream_time:
                stream_time = time
            if key is None or value is None or payload is None:
                self._unjoinable(results, row, key, value, time)
                continue
            if buffered and time == stream_time:
                self._emit_closed(results, row, stream_time)
            latest = time + after
            if latest < 0:  # the window ends before the epoch: it ends there
                latest = 0
            if found := between(key, time - before, latest, place, time):
                self._meet(results, row, key, time, value, found)
            elif waits:
                self._unmatched(results, row, key, time, value, payload, stream_time)
            if not keep(place, time, payload):
                late.drop(batch, row, stream_time)
            if both:
                self._meet_itself(results, row, key, time, value)
        return stream_time

    def _rows(self, batch: Batch) -> "zip[tuple[Any, ...]]":
        """Key, its place in both stores, value, payload, time."""
        mine, theirs = self._sides
        keys, times = batch.encoded_keys(self._join.key), batch.timestamps
        places = mine.kept.places(keys, times)
        if len(places) > FEW:
            mine.kept.load(places)
            theirs.kept.load(places)
        return zip(keys, places, batch.values, batch.encoded_values(mine.value), times, strict=True)

    def _unjoinable(self, results: Results, row: int, key: bytes | None, value: Any, time: int) -> None:
        """Without a key there is no partner, and nothing to wait for; without a value there is no record."""
        mine, _ = self._sides
        if key is None and value is not None and mine.waiting is not None:
            results.alone(row, None, time, value, self._left)

    def _unmatched(
        self, results: Results, row: int, key: bytes, time: int, value: Any, payload: bytes, stream_time: int
    ) -> None:
        """It waits for a partner, unless none can come any more."""
        mine, _ = self._sides
        if max(0, time + mine.after) + self._join.within.grace < stream_time:
            results.alone(row, key, time, value, self._left)
        else:
            self._memory.wait(mine, time, key, payload)

    def _meet(self, results: Results, row: int, key: bytes, time: int, value: Any, found: Rows) -> None:
        _, theirs = self._sides
        decode, waiting, left = theirs.value.decode, theirs.waiting, self._left
        lefts, rights = results.lefts, results.rights
        for other_time, payload in found:
            if waiting is not None:
                waiting.remove(other_time, key)
            results.rows.append(row)
            results.keys.append(key)
            results.timestamps.append(max(other_time, time))
            if left:
                lefts.append(value)
                rights.append(decode(payload))
            else:
                lefts.append(decode(payload))
                rights.append(value)

    def _meet_itself(self, results: Results, row: int, key: bytes, time: int, value: Any) -> None:
        """The row as a right one, of a stream whose left rows have it already."""
        right = self._memory.sides[RIGHT]
        decode = right.value.decode
        for other_time, payload in right.kept.between(key, time - right.before, max(0, time + right.after)):
            results.add(row, key, max(time, other_time), decode(payload), value)

    def _emit_closed(self, results: Results, row: int, stream_time: int) -> None:
        for time, left, key, payloads in self._memory.closed(self._sides[0], stream_time):
            decode = self._memory.sides[LEFT if left else RIGHT].value.decode
            for payload in payloads:
                results.alone(row, key, time, decode(payload), left)

