"""Keys and values as they are typed: text for text, JSON for everything else, read by the topic's own type."""

import json
from typing import Any

from streamz_actors.errors import DecodeError
from streamz_actors.serde.plain import reader, to_json
from streamz_actors.serde.schema import Schema, is_windowed, schema_for
from streamz_actors.serde.traits import without_none


def parse(schema: Schema[Any], text: str | None) -> Any:
    """The value that `text` stands for; None stands for none. Raises DecodeError naming the field."""
    if text is None:
        return None
    kind = without_none(schema.type)
    if kind is str:
        return text
    if kind is bytes:
        return text.encode()
    if is_windowed(schema):
        return reader(schema.type, key=True)(text.encode())
    try:
        return schema_for(schema.type, "json").decode(text.encode())
    except DecodeError:
        # A key or value of any type: what is no JSON is meant as it stands.
        if kind is Any:
            return text
        raise


def as_json_value(schema: Schema[Any], value: Any) -> Any:
    """A value as it stands in a JSON document."""
    if value is None:
        return None
    raw = to_json(value) if is_windowed(schema) else schema_for(schema.type, "json").encode(value)
    return None if raw is None else json.loads(raw)
