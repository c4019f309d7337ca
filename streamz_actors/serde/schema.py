"""A schema reads and writes one side (key or value) of a topic's records: a Python type through a codec."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from types import NoneType
from typing import Any, Final, Generic, TypeVar, get_args, get_origin

from streamz_actors.errors import ConfigError, DecodeError, SerdeError
from streamz_actors.serde import formats
from streamz_actors.serde.codecs import BUILT_IN, Chain, Codec, parse
from streamz_actors.serde.codecs import codec as codec_named
from streamz_actors.serde.describe import describe
from streamz_actors.serde.faults import decode_error, encode_error
from streamz_actors.serde.traits import (
    has_sortable_dicts,
    info_of,
    is_immutable,
    is_plain,
    unknown_classes,
    without_none,
)
from streamz_actors.serde.windowed import key_part, windowed_format
from streamz_actors.types import Windowed

T = TypeVar("T")
_Encode = Callable[[Any], bytes | None]


class Failed:
    """Stands in a decoded column where a record could not be decoded."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<failed>"


FAILED: Final = Failed()

_PLAIN_CODECS: Final[dict[str, type]] = {"raw": bytes, "str": str, "int": int}
"""Codecs that know but one type."""


@dataclass(frozen=True, slots=True)
class Schema(Generic[T]):
    """How values of a type become bytes and come back. None is the absence of bytes (a tombstone) in every codec.

    Equal if type and codec are. `schema_for` makes them.
    """

    type: Any
    codec: str
    immutable: bool = field(compare=False)
    """Nobody can change a decoded value in place, so it may be shared."""
    ordered: bool = field(compare=False)
    """The encodings sort as the values do."""
    encode: Callable[[T | None], bytes | None] = field(repr=False, compare=False)
    """`EncodeError` for what is not of the type, or would not come back as it is. Called once per record, and so a
    function made for the type.
    """
    _format: formats.Format = field(repr=False, compare=False)
    _stages: tuple[Codec, ...] = field(repr=False, compare=False)
    _read: Callable[[bytes], T] = field(repr=False, compare=False)

    def decode(self, raw: bytes | None) -> T | None:
        """`DecodeError` with reason and field; where the record came from is for the caller to add."""
        if raw is None:
            return None
        try:
            return self._read(raw)
        except SerdeError:
            raise
        except Exception as error:
            raise decode_error(error, self.codec) from error

    def encode_all(self, values: Sequence[T | None]) -> list[bytes | None]:
        """`encode` for a column; the first error is raised."""
        kinds = set(map(type, values))
        if NoneType in kinds:
            rows = iter(self.encode_all([value for value in values if value is not None]))
            return [None if value is None else next(rows) for value in values]
        if kinds <= self._format.quick and (raws := self._encode_quickly(kinds, values)) is not None:
            return raws
        return [self.encode(value) for value in values]

    def decode_all(
        self, raws: Sequence[bytes | None], failures: list[tuple[int, DecodeError]] | None = None
    ) -> list[T | Failed | None]:
        """`decode` for a column. With `failures`, FAILED stands in for what cannot be read and (row, error) is added
        to it; without, the first error is raised.
        """
        out: list[T | Failed | None] = []
        read: Callable[[Any], T | None] = self.decode if None in raws else self._read
        rows = map(read, raws)
        while True:
            try:
                # What came before an error stays in `out`, and the iterator goes on behind it.
                out.extend(rows)
                if len(out) == len(raws):
                    return out
                raise RuntimeError("the decoder raised StopIteration")
            except Exception as error:
                fault = decode_error(error, self.codec)
                if failures is None:
                    raise fault from (error.__cause__ if fault is error else error)
                failures.append((len(out), fault))
                out.append(FAILED)

    def _encode_quickly(self, kinds: formats.Kinds, values: Sequence[T | None]) -> list[bytes | None] | None:
        """A column as a whole; None if that failed, for `encode` to say where and why."""
        form = self._format
        try:
            raws = list(map(form.write, values))
            if not form.clean(kinds, values, raws):
                for value, raw in zip(values, raws, strict=True):
                    form.check(value)
                    form.verify(value, raw)
            for stage in self._stages:
                raws = list(map(stage.encode, raws))
        except Exception:
            return None
        return list(raws) if len(raws) == len(values) else None


def schema_for(
    type: Any,  # noqa: A002
    codec: str | None = None,
    *,
    key: bool = False,
    allow_pickle: bool = False,
) -> Schema[Any]:
    """The schema of a type; None stands for Any. `ConfigError` where type and codec do not fit.

    Without a codec: `raw` for bytes, `str` for keys of type str, `json` for everything else.

    Keys (`key=True`) have equal bytes where they are equal: object keys and sets are sorted, whole numbers in float
    fields written as floats, and lists in keys of type Any come back as tuples. Keys of type Any that are not JSON are
    read as text, else as bytes: what other programs write. (Values that Python holds equal across
    spellings, such as 1 and True, or one moment in two time zones, still have two encodings.)

    `Windowed[K]` is written around the key, whose type and codec are the inner ones.

    Without a type, values are what JSON has: anything that would come back as something else is refused when it is
    encoded, except tuples, which come back as lists.
    """
    annotation = Any if type is None else type
    if get_origin(annotation) is Windowed:
        return _windowed(annotation, schema_for(get_args(annotation)[0], codec, key=True, allow_pickle=allow_pickle))
    chain = parse(_default_codec(annotation, key) if codec is None else codec)
    if chain.first in _PLAIN_CODECS:
        annotation = _plain_type(annotation, chain)
    info = info_of(annotation)
    if chain.first == "pickle":
        _refuse_pickle(chain, key, allow_pickle)
    elif chain.first in BUILT_IN and (unknown := unknown_classes(info)):
        raise ConfigError(
            f"{describe(annotation)}: {unknown[0].__qualname__} is a class of which only its codec could know how to "
            f"make bytes; use a Record, dataclass, msgspec.Struct, TypedDict or pydantic model, or register_codec"
        )
    if key and not has_sortable_dicts(info):
        raise ConfigError(f"{describe(annotation)} cannot be a key: its dicts need str keys, to have one order")
    form = _format(annotation, chain, key)
    return Schema(
        type=annotation,
        codec=chain.spec,
        immutable=is_immutable(info),
        ordered=chain.spec in ("raw", "str"),
        encode=_writer(form, chain.stages, annotation),
        _format=form,
        _stages=chain.stages,
        _read=_through(form.read, chain.stages),
    )


def _windowed(annotation: Any, inner: Schema[Any]) -> Schema[Any]:
    form = windowed_format(inner.encode, inner._read)
    return Schema(
        type=annotation,
        codec=f"windowed:{inner.codec}",
        immutable=inner.immutable,
        ordered=False,
        encode=_writer(form, (), annotation),
        _format=form,
        _stages=(),
        _read=form.read,
    )


def windowed_around(key: Schema[Any]) -> Schema[Any]:
    """The schema of windowed keys, given that of the keys: `schema_for(Windowed[K])`, with the keys' own codec."""
    generic: Any = Windowed
    return _windowed(generic[key.type], key)


def is_windowed(schema: Schema[Any]) -> bool:
    """Whether it writes `Windowed` keys."""
    return get_origin(schema.type) is Windowed


def placing(key: Schema[Any], raw: bytes) -> bytes:
    """What of an encoded key says where it belongs: of one in a window, the key alone."""
    return key_part(raw) if is_windowed(key) else raw


def _default_codec(annotation: Any, key: bool) -> str:
    info = info_of(without_none(annotation))
    if is_plain(info, bytes):
        return "raw"
    return "str" if key and is_plain(info, str) else "json"


def _plain_type(annotation: Any, chain: Chain) -> Any:
    """The type that `raw`, `str` or `int` stands for."""
    only = _PLAIN_CODECS[chain.first]
    if annotation is Any:
        return only
    if not is_plain(info_of(without_none(annotation)), only):
        raise ConfigError(f"the codec {chain.first!r} is for {only.__name__}, not for {describe(annotation)}")
    return annotation


def _refuse_pickle(chain: Chain, key: bool, allowed: bool) -> None:
    if not allowed:
        raise ConfigError(
            f"codec {chain.spec!r}: reading a pickle runs code that its writer chose; if all writers of the topic are "
            f"trusted, switch it on with allow_pickle=True"
        )
    if key:
        raise ConfigError(f"codec {chain.spec!r}: equal keys can have different pickles, so it cannot be a key's codec")


def _format(annotation: Any, chain: Chain, key: bool) -> formats.Format:
    try:
        match chain.first:
            case "json":
                return formats.json_format(annotation, key)
            case "msgpack":
                return formats.msgpack_format(annotation, key)
            case "pickle":
                return formats.pickle_format(annotation)
            case "raw":
                return formats.raw_format()
            case "str":
                return formats.text_format()
            case "int":
                return formats.long_format()
            case other:
                return formats.custom_format(codec_named(other), annotation, key)
    except (TypeError, NameError) as error:
        raise ConfigError(f"{describe(annotation)} cannot be used with the codec {chain.spec!r}: {error}") from error


def _writer(form: formats.Format, stages: tuple[Codec, ...], annotation: Any) -> _Encode:
    """What encodes one value."""

    def encode(value: Any) -> bytes | None:
        if value is None:
            return None
        try:
            form.check(value)
            raw = form.write(value)
            form.verify(value, raw)
            for stage in stages:
                raw = stage.encode(raw)
            return raw
        except SerdeError:
            raise
        except Exception as error:
            raise encode_error(error, describe(annotation)) from error

    if stages or form.single is None:
        return encode
    if form.floats is None:
        return _null_searched(form.single, form.write, form.verify, encode)
    return _floats_asked(form.single, form.write, form.floats, encode)


def _floats_asked(kind: type, write: Callable[[Any], bytes], floats: formats.Readers, careful: _Encode) -> _Encode:
    """A short way for values of exactly this class with finite floats; `careful` knows what to say of all others."""

    def encode(value: Any) -> bytes | None:
        raw: bytes | None
        if type(value) is kind:
            try:
                for read in floats:
                    if not isfinite(read(value) or 0.0):  # the zero is for None
                        return careful(value)
                raw = write(value)
            except Exception:
                raw = None  # `careful` meets the same error again, and says what it means
            if raw is not None:
                return raw
        return careful(value)

    return encode


def _null_searched(
    kind: type, write: Callable[[Any], bytes], verify: Callable[[Any, bytes], None], careful: _Encode
) -> _Encode:
    """The same where floats may be anywhere inside: where one is not finite, there is a null in what was written."""

    def encode(value: Any) -> bytes | None:
        raw: bytes | None
        if type(value) is kind:
            try:
                raw = write(value)
                if raw.find(b"null") >= 0:
                    verify(value, raw)
            except Exception:
                raw = None  # as above
            if raw is not None:
                return raw
        return careful(value)

    return encode


def _through(read: Callable[[bytes], Any], stages: tuple[Codec, ...]) -> Callable[[bytes], Any]:
    """Reading behind unpacking; just reading where nothing is packed, for that is called once per record."""
    if not stages:
        return read
    backwards = [stage.decode for stage in reversed(stages)]

    def unpack_and_read(raw: bytes) -> Any:
        for decode in backwards:
            raw = decode(raw)
        return read(raw)

    return unpack_and_read
