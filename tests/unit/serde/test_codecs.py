"""Codecs: bytes as other Kafka clients write them, chains, codecs of one's own, and refusals that say what to do."""

import gzip
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.errors import ConfigError, DecodeError, EncodeError
from streamz_actors.serde import codecs
from streamz_actors.serde.codecs import known_codecs, parse, register_codec
from streamz_actors.serde.models import Record
from streamz_actors.serde.schema import FAILED, schema_for

COMPRESSIONS = ("gzip", "zstd", "lz4", "snappy")


class Order(Record):
    account: str
    amount: float
    lines: dict[int, str] = {}


class Opaque:
    """A class of which only its codec knows anything."""

    def __init__(self, number: int) -> None:
        self.number = number


@pytest.fixture
def _registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codecs, "_registered", dict(codecs._registered))


def _json_dumps(value: Any) -> bytes:
    return json.dumps(value).encode()


def test_strings_are_utf8_text_as_the_java_serializer_writes_them() -> None:
    schema = schema_for(str, "str")
    assert schema.encode("Zürich") == "Zürich".encode()
    assert schema.decode("Zürich".encode()) == "Zürich"
    with pytest.raises(DecodeError, match="not readable as str: UnicodeDecodeError"):
        schema.decode(b"\xff")
    with pytest.raises(EncodeError, match=r"str: .*surrogates"):
        schema.encode("\ud800")
    with pytest.raises(EncodeError, match="str"):
        schema.encode(5)


@pytest.mark.parametrize("number", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_integers_are_java_longs(number: int) -> None:
    schema = schema_for(int, "int")
    assert schema.encode(number) == struct.pack(">q", number)
    assert schema.decode(struct.pack(">q", number)) == number


def test_shorter_java_integers_are_read_too() -> None:
    schema = schema_for(int, "int")
    raws = [struct.pack(">b", -2), struct.pack(">h", -3), struct.pack(">i", 70_000)]
    assert schema.decode_all(raws) == [-2, -3, 70_000]
    with pytest.raises(DecodeError, match="1, 2, 4 or 8 bytes, not 3"):
        schema.decode(b"abc")


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1, True, 1.5, "1"])
def test_what_is_no_java_long_is_refused(value: Any) -> None:
    schema = schema_for(int, "int")
    with pytest.raises(EncodeError, match="int"):
        schema.encode(value)
    with pytest.raises(EncodeError, match="int"):
        schema.encode_all([1, value])


def test_raw_hands_bytes_through() -> None:
    schema = schema_for(bytes)
    assert schema.codec == "raw"
    assert schema.encode_all([b"a", None, b""]) == [b"a", None, b""]
    assert schema.encode(bytearray(b"a")) == b"a"
    assert schema.decode_all([b"a", None]) == [b"a", None]
    for value in ("a", 5):
        with pytest.raises(EncodeError, match="bytes: got"):
            schema.encode_all([b"a", value])


@pytest.mark.parametrize("pack", COMPRESSIONS)
def test_a_packed_record_comes_back(pack: str) -> None:
    schema = schema_for(Order, f"json|{pack}")
    orders = [Order("alice", 5.0, {1: "tea" * 100}), None, Order("bob", 0.5)]
    raws = schema.encode_all(orders)
    assert raws == [None if order is None else schema.encode(order) for order in orders]
    assert schema.decode_all(raws) == orders
    assert len(raws[0] or b"") < 200


@pytest.mark.parametrize("pack", COMPRESSIONS)
def test_damaged_packing_is_a_decode_error(pack: str) -> None:
    schema = schema_for(Order, f"json|{pack}")
    good = schema.encode(Order("alice", 5.0))
    assert good is not None
    failures: list[tuple[int, DecodeError]] = []
    assert schema.decode_all([good, good[:-6], b"nonsense"], failures) == [Order("alice", 5.0), FAILED, FAILED]
    assert [row for row, _ in failures] == [1, 2]
    assert f"not readable as json|{pack}" in str(failures[1][1])


def test_stages_run_left_to_right_when_encoding() -> None:
    raw = schema_for(str, "str|gzip|zstd").encode("tea")
    assert raw is not None
    assert gzip.decompress(codecs.codec("zstd").decode(raw)) == b"tea"


def test_gzip_of_equal_records_is_equal_whatever_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = schema_for(str, "str|gzip")
    before = schema.encode("tea")
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert schema.encode("tea") == before


def test_specs_are_normalised() -> None:
    assert schema_for(Order, " JSON | Zstd").codec == "json|zstd"
    assert parse("raw").stages == ()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("yaml", "unknown codec 'yaml': known are json, raw, str, int, msgpack, pickle, gzip"),
        ("json|yaml", "unknown codec 'yaml'"),
        ("", "unknown codec ''"),
        ("avro", "unknown codec 'avro'"),
        ("zstd", "only packs bytes; say what makes them, as in 'json|zstd'"),
        ("json|msgpack", "msgpack makes the bytes, so it can only come first"),
    ],
)
def test_a_spec_that_makes_no_sense_says_why(spec: str, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        schema_for(Order, spec)
    assert message in str(raised.value)


@pytest.mark.parametrize(("codec", "kind"), [("str", int), ("int", str), ("raw", Order), ("str", list[str])])
def test_a_codec_for_one_type_refuses_the_others(codec: str, kind: Any) -> None:
    with pytest.raises(ConfigError, match=f"the codec '{codec}' is for"):
        schema_for(kind, codec)


def test_a_codec_for_one_type_supplies_it_where_none_is_named() -> None:
    assert [schema_for(None, codec).type for codec in ("raw", "str", "int")] == [bytes, str, int]
    assert schema_for(str | None, "str").encode("a") == b"a"


def test_pickle_is_refused_until_switched_on() -> None:
    with pytest.raises(ConfigError, match=r"runs code that its writer chose.*allow_pickle=True"):
        schema_for(Order, "pickle|zstd")


def test_pickle_brings_back_anything() -> None:
    schema = schema_for(None, "pickle", allow_pickle=True)
    values = [{1, 2}, (3, 4j), Order("alice", 1.0), None]
    assert schema.decode_all(schema.encode_all(values)) == values
    typed = schema_for(Opaque, "pickle|lz4", allow_pickle=True)
    [back] = typed.decode_all(typed.encode_all([Opaque(7)]))
    assert isinstance(back, Opaque)
    assert back.number == 7
    assert not typed.immutable
    with pytest.raises(EncodeError, match="Opaque: got 5, a int"):
        typed.encode(5)
    with pytest.raises(DecodeError, match="not readable as pickle"):
        schema.decode(b"nonsense")


def test_pickle_is_no_codec_for_keys() -> None:
    with pytest.raises(ConfigError, match="equal keys can have different pickles"):
        schema_for(Order, "pickle", key=True, allow_pickle=True)


@pytest.mark.usefixtures("_registry")
def test_a_codec_of_ones_own_deals_in_builtins_and_the_type_is_kept() -> None:
    seen: list[Any] = []

    def encode(value: Any) -> bytes:
        seen.append(value)
        return _json_dumps(value)

    register_codec("mine", encode, json.loads)
    schema = schema_for(Order, "mine|gzip")
    order = Order("alice", 5.0, {1: "tea"})
    assert schema.decode_all(schema.encode_all([order])) == [order]
    assert seen == [{"account": "alice", "amount": 5.0, "lines": {"1": "tea"}}]
    with pytest.raises(DecodeError) as raised:
        schema.decode(gzip.compress(b'{"account": "alice", "amount": "x"}'))
    assert raised.value.field == "$.amount"
    assert "mine" in known_codecs()


@pytest.mark.usefixtures("_registry")
def test_a_codec_of_ones_own_keeps_objects_only_it_knows() -> None:
    register_codec("opaque", lambda value: str(value.number).encode(), lambda raw: Opaque(int(raw)))
    schema = schema_for(Opaque, "opaque")
    [back] = schema.decode_all(schema.encode_all([Opaque(7)]))
    assert isinstance(back, Opaque)
    assert back.number == 7
    with pytest.raises(EncodeError, match="Opaque: got"):
        schema.encode("seven")
    assert schema_for(None, "opaque").encode(Opaque(8)) == b"8"


@pytest.mark.usefixtures("_registry")
def test_a_codec_of_ones_own_can_pack_what_another_made() -> None:
    register_codec("turned", lambda raw: raw[::-1], lambda raw: raw[::-1])
    schema = schema_for(str, "str|turned")
    assert schema.encode_all(["abc", None]) == [b"cba", None]
    assert schema.decode(b"cba") == "abc"


@pytest.mark.usefixtures("_registry")
def test_a_codec_that_returns_no_bytes_is_caught_where_it_does() -> None:
    register_codec("text", lambda value: str(value), str)  # type: ignore[arg-type, return-value]
    with pytest.raises(EncodeError, match="the codec 'text' returned str instead of bytes"):
        schema_for(None, "text").encode(5)


@pytest.mark.usefixtures("_registry")
def test_a_codec_may_raise_the_errors_of_this_package_and_they_pass_unchanged() -> None:
    ours, theirs = EncodeError("no"), DecodeError("never", field="$.x")

    def encode(value: Any) -> bytes:
        raise ours

    def decode(raw: bytes) -> Any:
        raise theirs

    register_codec("refusing", encode, decode)
    schema = schema_for(None, "refusing")
    with pytest.raises(EncodeError) as raised:
        schema.encode(1)
    assert raised.value is ours
    with pytest.raises(DecodeError) as read:
        schema.decode(b"1")
    assert read.value is theirs
    with pytest.raises(DecodeError, match="never"):
        schema.decode_all([None, b"1"])


@pytest.mark.usefixtures("_registry")
def test_a_codec_that_raises_stop_iteration_loses_no_record() -> None:
    def encode(value: Any) -> bytes:
        if value == 2:
            raise StopIteration
        return _json_dumps(value)

    def decode(raw: bytes) -> Any:
        if raw == b"2":
            raise StopIteration
        return json.loads(raw)

    register_codec("stopping", encode, decode)
    for kind in (int, Any):
        schema = schema_for(kind, "stopping")
        failures: list[tuple[int, DecodeError]] = []
        assert schema.decode_all([b"1", b"2", b"3"], failures) == [1, FAILED, 3]
        assert [row for row, _ in failures] == [1]
        for values in ([1, 2, 3], [1, 3, 2]):
            with pytest.raises(EncodeError, match="StopIteration"):
                schema.encode_all(values)


@pytest.mark.usefixtures("_registry")
def test_registering_again_replaces_and_the_package_s_own_stay() -> None:
    register_codec("mine", _json_dumps, json.loads)
    register_codec("mine", lambda value: b"new", json.loads)
    assert schema_for(None, "mine").encode(1) == b"new"
    with pytest.raises(ConfigError, match="cannot be replaced"):
        register_codec("zstd", _json_dumps, json.loads)
    with pytest.raises(ConfigError, match=r"cannot be called 'a\|b'"):
        register_codec("a|b", _json_dumps, json.loads)


def test_a_class_nobody_knows_is_refused_when_declared() -> None:
    for codec in ("json", "msgpack"):
        with pytest.raises(ConfigError, match=r"list\[Opaque\]: Opaque is a class of which only its codec"):
            schema_for(list[Opaque], codec)


@given(st.binary(), st.sampled_from(COMPRESSIONS))
def test_any_bytes_come_back_from_any_packing(raw: bytes, pack: str) -> None:
    schema = schema_for(bytes, f"raw|{pack}")
    assert schema.decode(schema.encode(raw)) == raw


@given(st.integers(-(2**63), 2**63 - 1))
def test_any_long_comes_back(number: int) -> None:
    schema = schema_for(int, "int")
    assert schema.decode_all(schema.encode_all([number])) == [number]


@given(st.lists(st.text()))
def test_text_sorts_as_its_bytes_do(words: list[str]) -> None:
    encodable = [word for word in words if not any("\ud800" <= char <= "\udfff" for char in word)]
    schema = schema_for(str, "str")
    assert schema.ordered
    raws = [raw for raw in schema.encode_all(encodable) if raw is not None]
    assert schema.decode_all(sorted(raws)) == sorted(encodable)
