"""The way in: raw records of one topic become batches, with what is read decoded and what cannot be read settled."""

from collections.abc import Callable

from streamz_actors.dataflow.batch import Batch
from streamz_actors.dataflow.node import Node, SourceNode
from streamz_actors.dataflow.policies import Fail, last_word
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import DecodeError
from streamz_actors.tasks.buffer import Opened, Poison
from streamz_actors.tasks.event_time import EventTime, Wrong
from streamz_actors.tasks.failures import Failures, Given
from streamz_actors.transport.abc import RawBatch
from streamz_actors.types import TopicPartition


class Source:
    """Opens raw batches of one topic. `keys` and `values`: whether they are read decoded. `now`: the wall clock."""

    def __init__(
        self, topic: Topic[object, object], failures: Failures, now: Callable[[], int], *, keys: bool, values: bool
    ) -> None:
        self._topic, self._failures = topic, failures
        self._keys, self._values = keys, values or topic.timestamp is not None
        self._policy = topic.on_decode_error or last_word(failures.on_error)
        self._time = EventTime(topic, now, self._policy)

    def open(self, raw: RawBatch) -> Opened:
        """The batch without the records that cannot be used; up to the first of them that stops the task."""
        topic = self._topic
        bad: list[tuple[int, DecodeError]] = []
        keys = topic.key_schema.decode_all(raw.keys, bad) if self._keys else None
        values = topic.value_schema.decode_all(raw.values, bad) if self._values else None
        timestamps, wrong = self._time.of(values or [], raw.timestamps)
        batch = Batch.from_raw(
            raw, topic.key_schema, topic.value_schema, keys=keys, values=values, timestamps=timestamps
        )
        if not bad and not wrong:
            return batch, None
        mend = "on_decode_error=Skip() or DeadLetter() on the topic"
        return self._settle(raw, batch, [*(Wrong(*failure, self._policy, mend) for failure in bad), *wrong])

    def _settle(self, raw: RawBatch, batch: Batch, wrong: list[Wrong]) -> Opened:
        """A record that is wrong in several ways is dealt with once."""
        mask = [True] * len(batch)
        for row, error, policy, mend in sorted(wrong, key=lambda each: each.row):
            if not mask[row]:
                continue
            if isinstance(policy, Fail):
                return batch.select(mask[:row]), Poison(_located(raw, row, error, mend), raw.offsets[row])
            mask[row] = False
            self._failures.settle_raw("decoding", policy, _given(raw, row), error)
        return batch.select(mask), None


def opening(sub: SubTopology, failures: Failures, now: Callable[[], int]) -> Callable[[RawBatch], Opened]:
    """How raw batches of a sub-topology's topics are opened: with what the nodes behind their source read."""
    sources: dict[str, Source] = {}
    for node in sub.nodes:
        if not isinstance(node, SourceNode):
            continue
        behind = _behind(sub, node)
        keys, values = any(each.reads_keys for each in behind), any(each.reads_values for each in behind)
        for name in node.topic.names:
            sources[name] = Source(node.topic, failures, now, keys=keys, values=values)
    return lambda raw: sources[raw.topic].open(raw)


def _behind(sub: SubTopology, node: Node) -> set[Node]:
    found = set(sub.children[node])
    return found.union(*(_behind(sub, child) for child in found))


def _given(raw: RawBatch, row: int) -> Given:
    return Given(
        TopicPartition(raw.topic, raw.partition),
        raw.offsets[row],
        raw.timestamps[row],
        raw.keys[row],
        raw.values[row],
        raw.headers[row] if raw.headers is not None else (),
    )


def _located(raw: RawBatch, row: int, error: DecodeError, mend: str) -> DecodeError:
    where = f"cannot decode the record at topic {raw.topic!r}, partition {raw.partition}, offset {raw.offsets[row]}"
    return DecodeError(f"{error.reason} (mend or delete the record, or set {mend})", field=error.field, where=where)
