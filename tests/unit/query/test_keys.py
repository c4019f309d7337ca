"""Keys out of URLs, and cursors."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.errors import DecodeError, UsageError
from streamz_actors.query.keys import cursor_of, key_behind, key_reader
from streamz_actors.serde.schema import schema_for
from streamz_actors.types import Windowed


@pytest.mark.parametrize(
    ("annotation", "text", "keys"),
    [
        (str, "alice", ["alice"]),
        (str, '"alice"', ['"alice"']),
        (str, "42", ["42"]),
        (int, "42", [42]),
        (float, "1.5", [1.5]),
        (bool, "true", [True]),
        (bytes, "AP8=", [b"\x00\xff"]),
        (Any, "42", ["42", 42]),
        (Any, "alice", ["alice"]),
        (Any, "null", ["null"]),
        (Any, '["a",1]', ['["a",1]', ("a", 1)]),
        (str | int, "42", ["42", 42]),
        (tuple[str, int], '["a",1]', [("a", 1)]),
        (Windowed[str], '{"key":"a","start":0,"end":10}', [Windowed("a", 0, 10)]),
        (datetime, "2013-01-01T00:00:00Z", [datetime(2013, 1, 1, tzinfo=UTC)]),
    ],
)
def test_a_text_is_a_key_of_the_tables_type(annotation: Any, text: str, keys: list[object]) -> None:
    assert key_reader(schema_for(annotation, key=True))(text) == keys


@pytest.mark.parametrize(
    ("annotation", "text"), [(int, "alice"), (Windowed[str], "alice"), (bytes, "?"), (tuple[str, int], "a")]
)
def test_a_text_that_can_be_no_key_says_why(annotation: Any, text: str) -> None:
    with pytest.raises(DecodeError):
        key_reader(schema_for(annotation, key=True))(text)


@given(st.binary())
def test_a_cursor_leads_back_to_its_key_and_is_safe_in_a_url(raw: bytes) -> None:
    cursor = cursor_of(raw)
    assert key_behind(cursor) == raw
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert cursor.isascii()


@pytest.mark.parametrize("cursor", ["", "x", "k!", "kü", "k*", "kAAAAA"])
def test_what_is_no_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(UsageError, match="is no cursor"):
        key_behind(cursor)
