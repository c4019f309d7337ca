"""How the built-in codecs write and read one type: compiled once from its declaration, called for every record."""

import pickle
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import isfinite
from operator import attrgetter
from typing import Any

import msgspec
import orjson
from msgspec import inspect

from streamz_actors.serde.codecs import Codec
from streamz_actors.serde.describe import describe
from streamz_actors.serde.faithful import JSON, MSGPACK, Undeclared, difference, non_finite_in
from streamz_actors.serde.faults import refusal, wrong_class
from streamz_actors.serde.hooks import adapter, from_plain, is_pydantic, to_plain
from streamz_actors.serde.traits import (
    class_of,
    exact_classes,
    float_fields,
    holds_floats,
    info_of,
    is_plain,
    partly_undeclared,
    undeclared,
    unknown_classes,
)

Column = Sequence[Any]
Kinds = set[type]
Readers = tuple[Callable[[Any], Any], ...]

_PLAIN_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_LONG = struct.Struct(">q")
_LONG_SIZES = (1, 2, 4, 8)
_NONE: frozenset[type] = frozenset()


@dataclass(frozen=True, slots=True)
class Format:
    """One type in one codec. All but `clean` may raise anything; an `EncodeError` already says all there is to say.

    A value is encoded by `check`, `write` and `verify`. For a whole column of values whose classes are all in `quick`,
    `clean` tells in a few instructions per value, after `write`, that neither of the others would find anything; False
    means "look at each".

    Of a value whose class is `single` itself, `check` finds nothing, and `verify` nothing but floats that are not
    finite. `floats` read all that there are (what they read may also be None); if `floats` is None, they may be
    anywhere inside, and `write` has said null where one is not finite.
    """

    write: Callable[[Any], bytes]
    read: Callable[[bytes], Any]
    check: Callable[[Any], None]
    verify: Callable[[Any, bytes], None]
    quick: frozenset[type]
    clean: Callable[[Kinds, Column, list[bytes]], bool]
    single: type | None = None
    floats: Readers | None = None


def json_format(annotation: Any, key: bool = False) -> Format:
    info = info_of(annotation)
    if undeclared(info):
        return _plain_json(annotation, info, key)
    if is_pydantic(annotation):
        write, read = _pydantic_pair(annotation, key)
        return _typed(annotation, info, write, read, finite=True, key=key)
    encoder = msgspec.json.Encoder(enc_hook=to_plain, order="deterministic" if key else None)
    decoder = msgspec.json.Decoder(annotation, dec_hook=from_plain)
    return _typed(annotation, info, encoder.encode, decoder.decode, finite=True, key=key)


def msgpack_format(annotation: Any, key: bool = False) -> Format:
    info = info_of(annotation)
    encoder = msgspec.msgpack.Encoder(enc_hook=to_plain, order="deterministic" if key else None)
    decoder = msgspec.msgpack.Decoder(annotation, dec_hook=from_plain)
    if not undeclared(info):
        return _typed(annotation, info, encoder.encode, decoder.decode, finite=False, key=key)
    read = _hashable(decoder.decode) if key and annotation is Any else decoder.decode
    return _plain(annotation, MSGPACK, encoder.encode, read, _NONE, _always)


def custom_format(codec: Codec, annotation: Any, key: bool = False) -> Format:
    """A codec from outside: it deals in builtins, or in objects of a class that only it knows."""
    info = info_of(annotation)
    if isinstance(info, inspect.AnyType) or unknown_classes(info):
        return _trusting(annotation, codec.encode, codec.decode)

    def write(value: Any) -> bytes:
        return codec.encode(msgspec.to_builtins(value, str_keys=True, enc_hook=to_plain))

    def read(raw: bytes) -> Any:
        return msgspec.convert(codec.decode(raw), annotation, str_keys=True, dec_hook=from_plain)

    return _typed(annotation, info, write, read, finite=False, key=key)


def pickle_format(annotation: Any) -> Format:
    return _trusting(annotation, partial(pickle.dumps, protocol=5), pickle.loads)


def text_format() -> Format:
    """UTF-8, as Java's StringSerializer."""
    return Format(str.encode, bytes.decode, _nothing, _nothing, frozenset((str,)), _always, str, ())


def raw_format() -> Format:
    """Bytes as they are: `bytes` hands back the same object."""
    return Format(bytes, bytes, _only_bytes, _nothing, frozenset((bytes,)), _always, bytes, ())


def long_format() -> Format:
    """8 bytes, big-endian, signed, as Java's LongSerializer; shorter Java integers are read too."""
    return Format(_LONG.pack, _from_long, _no_bool, _nothing, frozenset((int,)), _always, int, ())


@dataclass(frozen=True, slots=True)
class _Declared:
    """A declared type. Direct instances of its class are trusted; of the rest, what was written is read back."""

    name: str
    kind: type | None
    exact: frozenset[type]
    loose: bool
    suspicious: Callable[[Column, list[bytes]], bool]
    encode: Callable[[Any], bytes]
    read: Callable[[bytes], Any]

    def check(self, value: Any) -> None:
        if self.kind is not None and type(value) not in self.exact and not isinstance(value, self.kind):
            raise wrong_class(self.name, value)

    def verify(self, value: Any, raw: bytes) -> None:
        # `in` first takes the text for a number, and fails at that: a third slower than find.
        if raw.find(b"null") >= 0 and self.suspicious((value,), [raw]) and (finding := non_finite_in(value)):
            raise refusal(self.name, finding[1], finding[0])
        if type(value) in self.exact:
            return
        back = self.read(raw)
        if self.loose and (finding := difference(value, back)):
            raise refusal(self.name, finding[1], finding[0])

    def clean(self, kinds: Kinds, values: Column, raws: list[bytes]) -> bool:
        if self.suspicious(values, raws):
            return False
        if kinds <= self.exact:
            return True
        back = list(map(self.read, raws))
        return not self.loose or back == list(values)

    def canonical(self, value: Any) -> bytes:
        """5 and 5.0 are equal, so as keys they need equal bytes: the decoder turns both into the declared float."""
        return self.encode(self.read(self.encode(value)))


def _typed(
    annotation: Any,
    info: inspect.Type,
    write: Callable[[Any], bytes],
    read: Callable[[bytes], Any],
    *,
    finite: bool,
    key: bool,
) -> Format:
    kind, exact, floats = class_of(annotation), exact_classes(info), holds_floats(info)
    if kind is not None and is_pydantic(kind):
        exact = frozenset((kind,))
    suspicious = _suspicion(info) if finite and floats else _unsuspicious
    declared = _Declared(describe(annotation), kind, exact, partly_undeclared(info), suspicious, write, read)
    return Format(
        write=declared.canonical if key and floats else write,
        read=read,
        check=declared.check,
        verify=declared.verify,
        quick=exact if kind is None else exact | {kind},
        clean=declared.clean,
        single=kind if kind in exact else None,
        floats=_float_readers(info) if finite and floats else (),
    )


def _float_readers(info: inspect.Type) -> Readers | None:
    """What reads each float out of a value, if it is one, or if all there are are its fields."""
    return (float,) if is_plain(info, float) else tuple(map(attrgetter, float_fields(info))) or None


def _suspicion(info: inspect.Type) -> Callable[[Column, list[bytes]], bool]:
    """May there be a NaN or an infinity in a column? JSON encoders write null for both.

    Where the floats are fields of the values, adding them up tells at a third of the cost of searching the output.
    """
    getters = [attrgetter(name) for name in float_fields(info)]
    if not getters:
        return _says_null

    def not_finite(values: Column, raws: list[bytes]) -> bool:
        try:
            # The filter drops None (and zeros), which do not add up.
            return not all(isfinite(sum(filter(None, map(get, values)))) for get in getters)
        except (TypeError, OverflowError):
            return True

    return not_finite


def _says_null(values: Column, raws: list[bytes]) -> bool:
    return b"null" in b"".join(raws)


def _unsuspicious(values: Column, raws: list[bytes]) -> bool:
    return False


def _plain_json(annotation: Any, info: inspect.Type, key: bool) -> Format:
    write = partial(orjson.dumps, option=_PLAIN_OPTIONS | (orjson.OPT_SORT_KEYS if key else 0))
    # msgspec reads where orjson would silently make a float of a large integer.
    read: Callable[[bytes], Any] = msgspec.json.Decoder(annotation).decode
    if key and isinstance(info, inspect.AnyType):
        read = _or_text(_hashable(read))

    def clean(kinds: Kinds, values: Column, raws: list[bytes]) -> bool:
        if kinds == {dict}:
            kinds = set(map(type, chain.from_iterable(map(dict.values, values))))
        return kinds <= JSON.scalars and not (float in kinds and _says_null(values, raws))

    kind = class_of(annotation)
    quick = JSON.scalars | {dict} if kind is None else frozenset((kind,))
    return _plain(annotation, JSON, write, read, quick, clean)


def _plain(
    annotation: Any,
    kept: Undeclared,
    write: Callable[[Any], bytes],
    read: Callable[[bytes], Any],
    quick: frozenset[type],
    clean: Callable[[Kinds, Column, list[bytes]], bool],
) -> Format:
    """A type that says nothing about the inside: whatever would come back as something else is refused."""
    name, kind = describe(annotation), class_of(annotation)

    def check(value: Any) -> None:
        if kind is not None and not isinstance(value, kind):
            raise wrong_class(name, value)
        if finding := kept.changed(value):
            raise refusal(name, finding[1], finding[0])

    return Format(write, read, check, _nothing, quick, clean)


def _trusting(annotation: Any, write: Callable[[Any], bytes], read: Callable[[bytes], Any]) -> Format:
    """A codec that brings back what it was given: nothing to check but the class."""
    name, kind = describe(annotation), class_of(annotation)

    def check(value: Any) -> None:
        if kind is not None and not isinstance(value, kind):
            raise wrong_class(name, value)

    return Format(write, read, check, _nothing, _NONE if kind is None else frozenset((kind,)), _always)


def _pydantic_pair(annotation: Any, key: bool) -> tuple[Callable[[Any], bytes], Callable[[bytes], Any]]:
    model = adapter(annotation)
    write = partial(model.dump_json, warnings="error")
    if not key:
        return write, model.validate_json

    def sorted_json(value: Any) -> bytes:
        return orjson.dumps(orjson.loads(write(value)), option=orjson.OPT_SORT_KEYS)

    return sorted_json, model.validate_json


def _hashable(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Lists back as tuples, so that they can be keys."""

    def tuples(value: Any) -> Any:
        if isinstance(value, list):
            return tuple(map(tuples, value))
        return {key: tuples(item) for key, item in value.items()} if isinstance(value, dict) else value

    return lambda raw: tuples(read(raw))


def _or_text(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Keys of no declared type that are not JSON are what other programs write: text, else bytes."""

    def lenient(raw: bytes) -> Any:
        try:
            return read(raw)
        except msgspec.DecodeError:
            try:
                return raw.decode()
            except UnicodeDecodeError:
                return raw

    return lenient


def _only_bytes(value: Any) -> None:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise wrong_class("bytes", value)


def _from_long(raw: bytes) -> int:
    if len(raw) not in _LONG_SIZES:
        raise ValueError(f"an integer has 1, 2, 4 or 8 bytes, not {len(raw)}")
    return int.from_bytes(raw, "big", signed=True)


def _no_bool(value: Any) -> None:
    if isinstance(value, bool):
        raise wrong_class("int", value)


def _nothing(*_: Any) -> None:
    """Nothing to check."""


def _always(kinds: Kinds, values: Column, raws: list[bytes]) -> bool:
    return True
