"""Windowed keys: the way there and back, what is no such key, and the part that partitions are computed from."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.errors import DecodeError, EncodeError
from streamz_actors.serde.schema import schema_for
from streamz_actors.serde.windowed import key_part
from streamz_actors.types import Windowed

MILLISECONDS = st.integers(-(2**62), 2**62)


@given(st.text(), MILLISECONDS, MILLISECONDS)
def test_a_windowed_key_comes_back_as_it_was(key: str, start: int, end: int) -> None:
    schema = schema_for(Windowed[str], key=True)
    raw = schema.encode(Windowed(key, start, end))
    assert raw is not None
    assert schema.decode(raw) == Windowed(key, start, end)
    assert key_part(raw) == key.encode()


def test_the_inner_key_has_its_own_type_and_codec() -> None:
    schema = schema_for(Windowed[int], "int")
    assert schema.codec == "windowed:int"
    assert schema.decode(schema.encode(Windowed(7, 0, 10))) == Windowed(7, 0, 10)
    assert schema != schema_for(int, "int")


@pytest.mark.parametrize("value", ["alice", Windowed(None, 0, 1), Windowed(3, 0, 1), Windowed("a", 0, 2**70)])
def test_what_is_no_windowed_key_of_the_type_is_refused(value: Any) -> None:
    with pytest.raises(EncodeError):
        schema_for(Windowed[str], key=True).encode(value)


@pytest.mark.parametrize("raw", [b"", b"short", b"\xff" + bytes(16)])
def test_bytes_that_are_none_say_so(raw: bytes) -> None:
    with pytest.raises(DecodeError):
        schema_for(Windowed[str], key=True).decode(raw)
