"""Writing to topics: bytes as they came, null keys, errors that name the source record."""

import pytest

from streamz_actors.errors import EncodeError
from streamz_actors.operators import sink
from streamz_actors.serde.schema import schema_for
from tests.unit.operators.bench import FakePlace, batch_of, build, builder_of, topic_of
from tests.unit.operators.test_stateless import ROWS, SOURCE

KEY, VALUE = schema_for(str, key=True), schema_for(int)


async def test_equal_schemas_pass_bytes_and_headers_through_unread() -> None:
    topic = topic_of(builder_of(), "out")
    node, place = sink.send_to(SOURCE, "out", topic, KEY, VALUE), FakePlace()
    batch = batch_of(ROWS)
    batch.headers = [(("n", b"1"),), (), (), ()]
    assert await build(node, place).process(batch) is None
    assert (node.reads_keys, node.reads_values, node.sends) == (False, False, (topic,))
    assert place.collector.sent == [
        ("out", [b"a", None, b"b", b"a"], [b"1", b"2", None, b"4"], [10, 12, 11, 9], [(("n", b"1"),), (), (), ()])
    ]
    assert batch._keys is None
    assert batch._values is None


async def test_other_schemas_encode_anew() -> None:
    topic = topic_of(builder_of(), "out", key=str, value=float)
    node, place = sink.send_to(SOURCE, "out", topic, KEY, VALUE), FakePlace()
    await build(node, place).process(batch_of(ROWS[:1]))
    assert (node.reads_keys, node.reads_values) == (False, True)
    assert place.collector.sent[0][2] in ([b"1"], [b"1.0"])


async def test_what_cannot_be_encoded_names_its_source_record() -> None:
    topic = topic_of(builder_of(), "out", value=str)
    with pytest.raises(EncodeError, match=r"value made from topic 'in', partition 0, offset 100: .*"):
        await build(sink.send_to(SOURCE, "out", topic, KEY, VALUE)).process(batch_of(ROWS))


@pytest.mark.parametrize(("kept", "keys"), [(False, [b"a", b"b", b"a"]), (True, [b"a", None, b"b", b"a"])])
async def test_a_repartition_topic_takes_rows_without_a_key_only_for_left_joins(kept: bool, keys: list[bytes]) -> None:
    topic, place = topic_of(builder_of(), "in-repartition"), FakePlace()
    node = sink.repartition(SOURCE, "r", topic, KEY, VALUE, sink.Nulls(kept))
    operator = build(node, place)
    await operator.process(batch_of(ROWS))
    await operator.process(batch_of([(None, 1, 1)] if not kept else []))
    assert [sent[1] for sent in place.collector.sent] == [keys]
