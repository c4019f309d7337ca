"""Tables joined by a foreign key: the left rows say which key of the right table they want, and hear what it holds.

    left's partition                              right's partition (of the foreign key)

    subscribe ──subscription (key: foreign key)──▶ subscriptions   remembers who wants the key, answers at once
                                                   followed        the right table's changes: answers all who want it
    responses ◀──response (key: left's key)────────┘
        │ only if the left row still has that foreign key
        ▼
     results      keeps the joined table

An answer carries the foreign key that it is about. On arrival it meets the left row as it is *then*, and counts only if
that still has this foreign key: an answer that was overtaken by a change of the left row can say nothing wrong, and
every change of it brings another answer. (Kafka Streams compares hashes of the left values' bytes instead, and so loses
results where equal values have different bytes: KAFKA-15303.)

What needs no answer, because the left row has gone or has no foreign key, is told to `results` at once. Every
subscription is answered, also with nothing; results that would only delete what is not there go no further.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import compress
from struct import Struct
from typing import Any, Final

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.calls import Call, over_columns
from streamz_actors.dataflow.context import Collector
from streamz_actors.dataflow.lookups import Lookup, Read, ReadDated
from streamz_actors.dataflow.node import Node, Operator, Place, StoreSpec, is_async
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import EncodeError, StreamzError, TopologyError
from streamz_actors.serde.packed import packed
from streamz_actors.serde.schema import Schema
from streamz_actors.stores.shared import Shared
from streamz_actors.stores.subscribers import Subscribers

Function = Callable[..., Any]

SIZE: Final = Struct(">I")
"""In front of a foreign key: the number of its bytes."""

WANTED, NO_LONGER = b"+", b"-"


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """What the parts of one join have in common. `foreign_key` takes (left key, left value), `joiner` (left, right)."""

    what: str
    """Kind and name, for messages."""
    foreign_key: Function
    joiner: Function
    value: Schema[Any]
    left_join: bool
    key: Schema[Any]
    """Of the right table's keys."""
    right: Schema[Any]
    """Of the right table's values."""
    asking: Topic[Any, Any]
    """Foreign key → (whether it is wanted, left's key encoded)."""
    answering: Topic[Any, Any]
    """Left's key → (foreign key encoded, right value encoded or None)."""

    @property
    def asynchronous(self) -> bool:
        return is_async(self.foreign_key) or is_async(self.joiner)

    @property
    def extracting(self) -> Call:
        return over_columns(self.foreign_key, f"foreign_key of {self.what}")

    @property
    def joining(self) -> Call:
        return over_columns(self.joiner, self.what)


def asking_schema() -> Schema[Any]:
    """Of (whether the foreign key is wanted, left's key encoded)."""

    def write(given: tuple[bool, bytes]) -> bytes:
        wanted, raw = given
        return (WANTED if wanted else NO_LONGER) + raw

    return packed("subscription", write, lambda raw: (raw[:1] == WANTED, raw[1:]))


def answering_schema() -> Schema[Any]:
    """Of (foreign key encoded, right value encoded or None)."""

    def write(given: tuple[bytes, bytes | None]) -> bytes:
        foreign, value = given
        there = NO_LONGER if value is None else WANTED + value
        return SIZE.pack(len(foreign)) + foreign + there

    def read(raw: bytes) -> tuple[bytes, bytes | None]:
        end = SIZE.size + SIZE.unpack_from(raw)[0]
        there = raw[end : end + 1] == WANTED
        return raw[SIZE.size : end], raw[end + 1 :] if there else None

    return packed("response", write, read)


# -- beside the left table: what its rows want


def subscribe(parent: Node, name: str, how: ForeignKey) -> Node:
    return Node(
        name,
        "subscribe",
        lambda place: Subscribe(how, place.collector),
        (parent,),
        sends=(how.asking,),
        reads_olds=True,
        asynchronous=how.asynchronous,
    )


class Subscribe(Operator):
    """Gives on the results that are known without an answer."""

    repeatable = True

    def __init__(self, how: ForeignKey, collector: Collector) -> None:
        self._how, self._collector = how, collector
        self._extract, self._join = how.extracting, how.joining

    async def process(self, batch: Batch) -> Batch | None:
        news, olds = batch.values, batch.olds or [None] * len(batch)
        wanted = await foreign_keys(self._how, self._extract, batch, news)
        unwanted = await self._before(batch, olds)
        alone = [
            foreign is None and (new is not None or old is not None)
            for foreign, new, old in zip(wanted, news, olds, strict=True)
        ]
        known = await self._unmatched(batch.select(alone)) if any(alone) else None
        self._ask(batch, wanted, unwanted)
        return known

    async def _before(self, batch: Batch, olds: Column) -> list[bytes | None]:
        try:
            return await foreign_keys(self._how, self._extract, batch, olds)
        except StreamzError:
            if self.guard.stops or len(batch) > 1:  # of several, each is asked on its own again
                raise
            return [None]  # it was given up when it came, and has asked for nothing

    def _ask(self, batch: Batch, wanted: list[bytes | None], unwanted: list[bytes | None]) -> None:
        topic = self._how.asking
        keys: list[bytes | None] = []
        values: list[bytes | None] = []
        timestamps: list[int] = []
        write = topic.value_schema.encode
        raw_keys = batch.encoded_keys(self._how.answering.key_schema)
        for raw, new, old, timestamp in zip(raw_keys, wanted, unwanted, batch.timestamps, strict=True):
            if old is not None and old != new:
                keys.append(old)
                values.append(write((False, raw)))
                timestamps.append(timestamp)
            if new is not None:
                keys.append(new)
                values.append(write((True, raw)))
                timestamps.append(timestamp)
        if keys:
            self._collector.add(topic.name, keys, values, timestamps)

    async def _unmatched(self, batch: Batch) -> Batch:
        """Results of rows that meet nothing: None, but for what a left join makes of a left row alone."""
        values = batch.values
        if not self._how.left_join:
            return batch.replace(values=([None] * len(values), self._how.value))
        return batch.replace(values=(await _alone(self._join, batch, values), self._how.value))


async def _alone(join: Call, batch: Batch, lefts: Column) -> Column:
    """The joiner's results for rows that have a left value, with nothing on the right."""
    there = [left is not None for left in lefts]
    present = list(compress(lefts, there))
    results = iter(await join(batch.select(there), present, [None] * len(present)))
    return [next(results) if here else None for here in there]


async def foreign_keys(how: ForeignKey, extract: Call, batch: Batch, values: Column) -> list[bytes | None]:
    """The encoded foreign keys of left values; None where there is no value or no key."""
    there = [value is not None for value in values]
    if not any(there):
        return [None] * len(values)
    rows = batch if all(there) else batch.select(there)
    found = await extract(rows, rows.keys, list(compress(values, there)))
    raws = iter(rows.encode("foreign key", how.key, found))
    return [next(raws) if here else None for here in there]


# -- beside the right table: who wants which key


_SUBSCRIBERS: Final = Shared(Subscribers)
"""Those who take subscriptions and those who follow the table work on the same."""


def subscribers_of(place: Place, spec: StoreSpec) -> Subscribers:
    return _SUBSCRIBERS.of(place.states[spec.name].logged)


def subscriptions(parent: Node, name: str, how: ForeignKey, right: Lookup, spec: StoreSpec) -> Node:
    """Takes subscriptions, and answers each with what the right table holds now."""
    if right.dated is None:
        raise TopologyError(f"{how.what}: the right table cannot be looked up with times, and so not be joined")
    look = right.dated
    return Node(
        name,
        "subscriptions",
        lambda place: Subscriptions(how, look(place), subscribers_of(place, spec), place.collector),
        (parent,),
        stores=tuple(dict.fromkeys((spec, *right.stores))),
        sends=(how.answering,),
        reads_keys=right.reads_keys,
        asynchronous=right.asynchronous,
        copartitioned=True,
    )


class Subscriptions(Operator):
    repeatable = True

    def __init__(self, how: ForeignKey, read: ReadDated, subscribers: Subscribers, collector: Collector) -> None:
        self._how, self._read, self._subscribers, self._collector = how, read, subscribers, collector

    async def process(self, batch: Batch) -> None:
        set_ = self._subscribers.set
        raw_keys = batch.encoded_keys(self._how.key)
        asked = [wanted for wanted, _ in batch.values]
        for foreign, (wanted, raw), timestamp in zip(raw_keys, batch.values, batch.timestamps, strict=True):
            if foreign is not None:
                set_(foreign, raw, wanted, timestamp)
        if not any(asked):
            return
        await self._answer(batch if all(asked) else batch.select(asked))

    async def _answer(self, batch: Batch) -> None:
        """The time of an answer is the later one of who asked and what is told."""
        held, times = await self._read(batch)
        rights = batch.encode("value", self._how.right, held)
        write = self._how.answering.value_schema.encode
        self._collector.add(
            self._how.answering.name,
            [raw for _, raw in batch.values],
            [write(pair) for pair in zip(batch.encoded_keys(self._how.key), rights, strict=True)],
            [
                time if right is None else max(time, own)
                for right, time, own in zip(rights, batch.timestamps, times, strict=True)
            ],
        )


def followed(parent: Node, name: str, how: ForeignKey, spec: StoreSpec) -> Node:
    """Tells the right table's changes to all who want them."""
    return Node(
        name,
        "followed",
        lambda place: Followed(how, subscribers_of(place, spec), place.collector),
        (parent,),
        stores=(spec,),
        sends=(how.answering,),
        reads_keys=False,
        reads_values=False,
        copartitioned=True,
    )


class Followed(Operator):
    """Answers have the time of the change, not that of the left row: so Kafka Streams has it."""

    def __init__(self, how: ForeignKey, subscribers: Subscribers, collector: Collector) -> None:
        self._how, self._subscribers, self._collector = how, subscribers, collector

    async def process(self, batch: Batch) -> None:
        topic, of = self._how.answering, self._subscribers.of
        write = topic.value_schema.encode
        rows = zip(
            batch.encoded_keys(self._how.key), batch.encoded_values(self._how.right), batch.timestamps, strict=True
        )
        for foreign, right, timestamp in rows:
            keys = [] if foreign is None else of(foreign)
            if keys:
                count = len(keys)
                self._collector.add(topic.name, keys, [write((foreign, right))] * count, [timestamp] * count)


# -- beside the left table again: answers become results


def responses(parent: Node, name: str, how: ForeignKey, left: Lookup) -> Node:
    return Node(
        name,
        "responses",
        lambda place: Responses(how, left.at(place)),
        (parent,),
        stores=left.stores,
        asynchronous=how.asynchronous or left.asynchronous,
        copartitioned=True,
    )


class Responses(Operator):
    """Lets pass what is about the foreign key that the left row has now, joined with that row."""

    repeatable = True

    def __init__(self, how: ForeignKey, read: Read) -> None:
        self._how, self._read = how, read
        self._extract, self._join = how.extracting, how.joining
        self._decode = Decoding(how.right)

    async def process(self, batch: Batch) -> Batch | None:
        lefts = await self._read(batch)
        now = await foreign_keys(self._how, self._extract, batch, lefts)
        counts = [mine is not None and mine == about for mine, (about, _) in zip(now, batch.values, strict=True)]
        if not any(counts):
            return None
        batch, lefts = batch.select(counts), list(compress(lefts, counts))
        rights = [self._decode(right) for _, right in batch.values]
        return batch.replace(values=(await self._joined(batch, lefts, rights), self._how.value))

    async def _joined(self, batch: Batch, lefts: Column, rights: Column) -> Column:
        if self._how.left_join:
            return await self._join(batch, lefts, rights)
        there = [right is not None for right in rights]
        columns = list(compress(lefts, there)), list(compress(rights, there))
        results = iter(await self._join(batch.select(there), *columns))
        return [next(results) if here else None for here in there]


class Decoding:
    """Reads right values; one that is told to many is read once, if nobody can change it in place."""

    def __init__(self, schema: Schema[Any]) -> None:
        self._schema = schema
        self._last: bytes | None = None
        self._value: Any = None

    def __call__(self, raw: bytes | None) -> Any:
        if raw is None or not self._schema.immutable:
            return self._schema.decode(raw)
        if raw != self._last:
            self._last, self._value = raw, self._schema.decode(raw)
        return self._value


# -- the joined table


def results(parents: tuple[Node, ...], spec: StoreSpec, kind: str) -> Node:
    """What the subscribing side and the answers say, kept under the left keys."""
    return Node(
        spec.name,
        kind,
        lambda place: Results(place.states[spec.name], spec),
        parents,
        stores=(spec,),
        reads_keys=False,
    )


class Results(Operator):
    """A change from nothing to nothing goes no further."""

    def __init__(self, state: Any, spec: StoreSpec) -> None:
        self._logged, self._spec = state.logged, spec

    async def process(self, batch: Batch) -> Batch | None:
        raw_keys = batch.encoded_keys(self._spec.key_schema)
        logged = self._logged
        logged.load(raw_keys)
        changed: list[bool] = []
        olds: Column = []
        for row, (raw, value, timestamp) in enumerate(zip(raw_keys, batch.values, batch.timestamps, strict=True)):
            old = logged.get(raw)
            moved = (value is not None or old is not None) and self._put(batch, row, raw, value, timestamp)
            changed.append(moved)
            if moved:
                olds.append(old)
        if not olds:
            return None
        kept = batch if all(changed) else batch.select(changed)
        return kept.replace(olds=olds) if self.olds else kept

    def _put(self, batch: Batch, row: int, raw: bytes | None, value: Any, timestamp: int) -> bool:
        """Whether it could be written."""
        try:
            self._logged.put(raw, value, timestamp)
        except EncodeError as error:
            self.guard.failed(f"join {self._spec.name!r}", batch, row, error)
            return False
        return True
