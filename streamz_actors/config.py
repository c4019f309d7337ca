"""The settings of an application: what there is, what each may be, and where its value came from.

A value is taken from the first of: command line, environment (`STREAMZ_` and the name in capitals), the table
`[tool.streamz_actors]` of the nearest `pyproject.toml`, keyword of `App(...)`, default. Text from the command line or
the environment is parsed to the setting's type; values that already have a type (TOML, keywords) must have the right
one. A keyword that is None and an environment variable that is empty count as not given.
"""

import difflib
import math
import re
import tomllib
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast
from zoneinfo import ZoneInfo

from streamz_actors.config_values import PARSERS, WORDS, typed
from streamz_actors.errors import ConfigError

T = TypeVar("T")

COMMAND_LINE: Final = "command line"
PYPROJECT: Final = "pyproject.toml"
KEYWORD: Final = "keyword"
DEFAULT: Final = "default"

PREFIX: Final = "STREAMZ_"
TOOL_NAMES: Final = frozenset({"app"})
"""Names of the command-line tool that stand beside the settings in the environment and in pyproject.toml."""

_APP_ID = re.compile(r"[A-Za-z0-9._-]{1,150}")
_SERVICE_LINK = re.compile(r"STREAMZ_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
"""What Kubernetes puts into the environment for a service called `streamz` or `streamz-…`: not ours to judge."""
_SECRET = re.compile(r"password|secret|token", re.IGNORECASE)
HIDDEN: Final = "********"


def _url(value: str) -> None:
    if "://" not in value:
        raise ValueError(f"it has no scheme: write kafka://{value or 'localhost:9092'}")


def _http(value: str) -> None:
    if not re.fullmatch(r"https?://[^/\s?#]+/?", value):
        raise ValueError("it is no URL of a server: write http://host:6066")


def _token(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", value):
        raise ValueError("it cannot stand in a header: use letters, digits and any of ._~+/=-")


def _store(value: str) -> None:
    if "://" not in value:
        raise ValueError("it has no scheme: write rocksdb:// or memory://")


def _zone(value: str) -> None:
    try:
        ZoneInfo(value)
    except (ValueError, LookupError, OSError) as error:  # OSError: the name of a directory of the database
        raise ValueError("it is no name in the IANA time zone database, such as Europe/Paris") from error


def setting(
    default: T,
    doc: str,
    *,
    above: float = -math.inf,
    least: float = -math.inf,
    most: float = math.inf,
    valid: Callable[[Any], None] = lambda value: None,
) -> T:
    """A field of `Settings` and what is known about it; `valid` raises ValueError with the reason."""
    metadata = {"doc": doc, "above": above, "least": least, "most": most, "valid": valid}
    if isinstance(default, dict):
        return cast(T, field(default_factory=default.copy, repr=False, metadata=metadata))  # may hold passwords
    return field(default=default, repr=valid is not _token, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one application. `origins` says for each name where its value came from."""

    app_id: str
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    broker: str = setting(
        "memory://",
        "Where records live: `kafka://host:port,host:port`, or `memory://`, the embedded broker.",
        valid=_url,
    )
    store: str | None = setting(
        None, "Where state lives: `rocksdb://` or `memory://`. Default: RocksDB on Kafka, else memory.", valid=_store
    )
    data_dir: Path = setting(  # noqa: RUF009 - it makes a field
        Path(".streamz"), "Folder of local state; each task has `<app id>/<task>/` below it."
    )
    auto_offset_reset: Literal["earliest", "latest"] = setting(
        "earliest", "Where to begin in a partition without a committed offset."
    )
    processing_guarantee: Literal["at_least_once", "exactly_once"] = setting(
        "at_least_once",
        "How often a record takes effect when a worker crashes. `exactly_once`: see the page about guarantees.",
    )
    on_error: Literal["fail", "skip", "dead_letter", "retry"] = setting(
        "fail",
        "What becomes of a record on which something fails (decoding, a handler, a function of the DSL, writing a "
        "result), where nothing else is said: the worker stops there, or the record is skipped, or sent to the dead "
        "letters, or an agent tries it again three times, and then the worker stops. In code also a policy: "
        "`on_error=Retry(5, then=DeadLetter())`.",
    )
    on_offset_out_of_range: Literal["fail", "earliest", "latest"] = setting(
        "fail",
        "What to do where the broker no longer has the records that come next: stop and say which are missing, or go "
        "on, after a warning, with the earliest that there are, or with what comes from now on.",
    )
    stuck_after: float = setting(
        60.0,
        "Seconds without progress, though there is something to do, after which a partition, a handler or the "
        "connection to the brokers counts as stuck: `/readyz` turns red and says which.",
        above=0,
    )
    commit_interval: float = setting(
        1.0, "Seconds between two commits of state and offsets. Under `exactly_once` 0.1, unless it is given.", above=0
    )
    topic_partitions: int = setting(8, "Partitions of a topic that is created and declares no number.", least=1)
    topic_replication_factor: int | None = setting(
        None, "Replicas of a topic that is created. Default: the broker's own default.", least=1
    )
    web_enabled: bool = setting(True, "Whether a worker serves HTTP.")
    web_host: str = setting("127.0.0.1", "Address that the web server binds to.")
    web_port: int = setting(6066, "Port that the web server binds to; 0 takes a free one.", least=0, most=65535)
    web_produce: bool | None = setting(
        None, "Whether `POST /v1/topics/{topic}` may produce. Default: with the embedded broker only."
    )
    web_advertised_url: str | None = setting(
        None,
        "Where other workers reach this one's web server. Default: `web_host` and `web_port`. With several processes "
        "its host counts alone: each process has a port of its own.",
        valid=_http,
    )
    web_token: str | None = setting(
        None,
        "Whoever asks the web server must show it (`Authorization: Bearer ...`), except for liveness and readiness. "
        "Workers show it to each other: all need the same.",
        valid=_token,
    )
    autodiscover: tuple[str, ...] = setting((), "Modules to import before the worker starts, for what they declare.")
    timezone: str = setting("UTC", "Time zone of crontabs that name none.", valid=_zone)
    max_buffered_records: int = setting(
        20_000, "Records that one partition may hold in memory before it is paused.", least=1
    )
    max_task_idle: float = setting(
        0.0,
        "Seconds that a task which reads several partitions waits for one of which nothing has arrived, so that it "
        "takes records in the order of their time. 0: only until what the broker is known to have is here. Below 0: "
        "not at all.",
    )
    max_time_drift: float | None = setting(
        None,
        "Seconds of event time by which a task may get ahead of the others of its sub-topology, which read other "
        "partitions of the same topics, on the same worker. Then little comes out of order behind a repartition topic, "
        "even if history is read at full speed. Default: each goes on as fast as it can.",
        least=0,
    )
    cache_max_bytes: int = setting(
        0,
        "Bytes of updates that aggregations of this worker may keep until the next commit, so that of several of one "
        "key only the last goes on. 0: each goes on at once. A bounded run keeps none.",
        least=0,
    )
    standby_replicas: int = setting(
        0,
        "Copies of each task's tables that other workers keep up to date, to take over at once when its worker is "
        "gone. `app.table(standby_replicas=)` says otherwise for one table.",
        least=0,
    )
    rack: str | None = setting(
        None,
        "Where this worker stands: a rack, a zone, a machine. Copies of tables are kept elsewhere than the tables, if "
        "there is an elsewhere.",
    )
    group_instance_id: str | None = setting(
        None, "Static membership: a name of this worker that survives its restart, one for each worker of a group."
    )
    consumer_config: Mapping[str, Any] = setting(
        {}, "Passed through to aiokafka for everything but producers: `security_protocol`, `sasl_*`, `ssl_*`, …"
    )
    producer_config: Mapping[str, Any] = setting(
        {}, "Passed through to aiokafka's producers: `security_protocol`, `sasl_*`, `compression_type`, …"
    )
    log_format: Literal["plain", "json"] = setting("plain", "Log lines for people, or one JSON object a line.")
    allow_pickle: bool = setting(
        False, "Whether the `pickle` codec may be used. Whoever may write to such a topic can run code here."
    )
    session_timeout: float = setting(
        12.0, "Seconds without a heartbeat after which the group gives up a worker.", above=0
    )
    heartbeat_interval: float = setting(
        0.4, "Seconds between two heartbeats: what a handover waits for. Below the session time-out.", above=0
    )

    @property
    def exactly_once(self) -> bool:
        return self.processing_guarantee == "exactly_once"

    @property
    def commit_wait(self) -> float | None:
        """Seconds that a transaction may wait for tasks, as far as it is up to us; None without transactions."""
        return self.commit_interval / 2 if self.exactly_once else None

    @property
    def embedded(self) -> bool:
        """Whether the broker is the embedded one."""
        return self.broker.startswith("memory:")

    @property
    def store_url(self) -> str:
        """`store`, or what the broker makes of its default."""
        return self.store or ("memory://" if self.embedded else "rocksdb://")

    @property
    def web_produces(self) -> bool:
        """`web_produce`, or what the broker makes of its default."""
        return self.embedded if self.web_produce is None else self.web_produce

    @property
    def web_credentials(self) -> dict[str, str]:
        """The headers that a request to a worker of these settings needs."""
        return {} if self.web_token is None else {"Authorization": f"Bearer {self.web_token}"}

    def explain(self) -> list[tuple[str, object, str]]:
        """Name, effective value and origin of each setting, in order of declaration; secrets are masked."""
        effective = {name: getattr(self, name) for name in SETTINGS}
        effective |= {"store": self.store_url, "web_produce": self.web_produces}
        return [(name, _masked(name, value), self.origins.get(name, DEFAULT)) for name, value in effective.items()]


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """What is known about one setting. `kind` is its type without None; `choices` is empty where any value will do."""

    name: str
    kind: type
    choices: tuple[str, ...]
    default: object
    metadata: Mapping[str, Any]

    @property
    def doc(self) -> str:
        return str(self.metadata["doc"])

    @property
    def environ(self) -> str:
        """The name of its environment variable."""
        return PREFIX + self.name.upper()

    @property
    def expected(self) -> str:
        """What a value must be, for messages and for the reference."""
        if self.choices:
            return " or ".join(f'"{choice}"' for choice in self.choices)
        return WORDS[self.kind] + self._range()

    def _range(self) -> str:
        above, least, most = self.metadata["above"], self.metadata["least"], self.metadata["most"]
        if most < math.inf:
            return f" from {least} to {most}"
        if above > -math.inf:
            return f" above {above}"
        return f" of at least {least}" if least > -math.inf else ""

    def value(self, given: object, origin: str, *, text: bool) -> Any:
        """The value of this setting's type; ConfigError if `given` is none. `text`: strings are to be parsed."""
        try:
            value = PARSERS[self.kind](given) if text and isinstance(given, str) else typed(self.kind, given)
            self._check(value)
        except (ValueError, OverflowError) as error:
            raise ConfigError(self._complaint(given, origin, str(error))) from None
        return value

    def _check(self, value: Any) -> None:
        """ValueError if a value of the right type is still none; without text where `expected` says it all."""
        self.metadata["valid"](value)
        if self.choices and value not in self.choices:
            raise ValueError
        if self.kind in (int, float):
            above, least, most = self.metadata["above"], self.metadata["least"], self.metadata["most"]
            if not (above < value < math.inf and least <= value <= most):
                raise ValueError

    def _complaint(self, given: object, origin: str, reason: str) -> str:
        """A secret isn't shown, nor a table, which may hold one; what Python says of a number only repeats it."""
        shown = "the value given" if self.kind is dict or _SECRET.search(self.name) else repr(given)
        because = f": {reason}" if reason and self.kind not in (int, float) else ""
        return f"setting {self.name!r} ({origin}): {shown} is not {self.expected}{because}"


def resolve(
    app_id: str,
    keywords: Mapping[str, object],
    *,
    environ: Mapping[str, str],
    pyproject: Mapping[str, object],
    overrides: Mapping[str, object],
) -> Settings:
    """The settings of one application, from all of their origins; ConfigError for what is unknown or malformed.

    `pyproject` is the table itself (see `project_table`), `overrides` come from the command line.
    """
    if not _APP_ID.fullmatch(app_id):
        raise ConfigError(f"application id {app_id!r}: use 1 to 150 letters, digits, dots, dashes and underscores")
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, given, origin, text in (
        *((name, given, KEYWORD, False) for name, given in keywords.items()),
        *((name, given, PYPROJECT, False) for name, given in pyproject.items() if name not in TOOL_NAMES),
        *_from_environment(environ),
        *((name, given, COMMAND_LINE, True) for name, given in overrides.items()),
    ):
        info = _lookup(name, origin)
        if given is None:
            continue
        values[name], origins[name] = info.value(given, origin, text=text), origin
    return _consistent(Settings(app_id=app_id, origins=origins, **values))


def override(settings: Settings, overrides: Mapping[str, object]) -> Settings:
    """`settings` with what the command line says, for an application that was declared before it was read."""
    given = {name: value for name, value in overrides.items() if value is not None}
    values = {name: _lookup(name, COMMAND_LINE).value(value, COMMAND_LINE, text=True) for name, value in given.items()}
    origins = {**settings.origins, **dict.fromkeys(values, COMMAND_LINE)}
    return _consistent(replace(settings, origins=origins, **values))


def project_table(start: Path) -> Mapping[str, object]:
    """`[tool.streamz_actors]` of the nearest pyproject.toml from `start` upwards that has one; else an empty table."""
    for folder in (start.absolute(), *start.absolute().parents):
        path = folder / "pyproject.toml"
        if not path.is_file():
            continue
        try:
            table = tomllib.loads(path.read_text("utf-8")).get("tool", {}).get("streamz_actors")
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        if isinstance(table, dict):
            return table
    return {}


def _from_environment(environ: Mapping[str, str]) -> list[tuple[str, str, str, bool]]:
    """(name, text, origin, True) for each variable that is ours; one that only looks like it is an error later."""
    return [
        (name, text, f"environment {variable}", True)
        for variable, text in environ.items()
        if variable.startswith(PREFIX) and text and (name := variable.removeprefix(PREFIX).lower()) not in TOOL_NAMES
        and (name in SETTINGS or not _SERVICE_LINK.fullmatch(variable))
    ]


def _lookup(name: str, origin: str) -> SettingInfo:
    if info := SETTINGS.get(name):
        return info
    near = difflib.get_close_matches(name, SETTINGS, n=1)
    advice = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(SETTINGS)}"
    raise ConfigError(f"unknown setting {name!r} ({origin}): {advice}")


def _consistent(settings: Settings) -> Settings:
    if "commit_interval" not in settings.origins:
        settings = replace(settings, commit_interval=0.1 if settings.exactly_once else 1.0)
    if settings.heartbeat_interval < settings.session_timeout:
        return settings
    beat, session = (
        f"{name} {getattr(settings, name)} ({settings.origins.get(name, DEFAULT)})"
        for name in ("heartbeat_interval", "session_timeout")
    )
    raise ConfigError(f"{beat} must be below {session}")


def _masked(name: str, value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _masked(key, part) for key, part in value.items()}
    return HIDDEN if _SECRET.search(name) and value is not None else value


def _describe(name: str, hint: Any, default: object, metadata: Mapping[str, Any]) -> SettingInfo:
    if isinstance(hint, types.UnionType):  # `X | None`
        (hint,) = (part for part in typing.get_args(hint) if part is not types.NoneType)
    origin = typing.get_origin(hint) or hint
    if origin is Literal:
        return SettingInfo(name, str, typing.get_args(hint), default, metadata)
    return SettingInfo(name, dict if origin is Mapping else origin, (), default, metadata)


def _settings() -> Mapping[str, SettingInfo]:
    hints = typing.get_type_hints(Settings)
    return {
        one.name: _describe(one.name, hints[one.name], {} if one.default is MISSING else one.default, one.metadata)
        for one in fields(Settings)
        if one.metadata
    }


SETTINGS: Final[Mapping[str, SettingInfo]] = _settings()
"""Every setting by name, in order of declaration: what the reference page and `app config` are made of."""
