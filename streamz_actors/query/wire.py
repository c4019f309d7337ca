"""What workers ask each other over HTTP, as msgpack: keys and values encoded as the stores have them.

Fields are told apart by their place: new ones go to the end, with a default, so that releases understand each other.
"""

from typing import Final

from streamz_actors.serde.models import Record
from streamz_actors.serde.schema import schema_for

CONTENT_TYPE: Final = "application/msgpack"
VALUES_PATH: Final = "/v1/internal/values"
ENTRIES_PATH: Final = "/v1/internal/entries"

TIME_LEFT: Final = "Streamz-Time-Left"
"""Header of a request: how long the asker will wait, in ms."""


class Held(Record, array_like=True):
    """A partition's value under a key. `timestamp` is in ms; `stale`: out of a copy that may be behind."""

    partition: int
    timestamp: int
    raw: bytes
    stale: bool = False


class Ask(Record, array_like=True):
    """For the values of keys: in these partitions (None: in all that are there), with `stale` out of copies too."""

    table: str
    keys: list[bytes]
    partitions: list[int] | None = None
    stale: bool = False
    span: tuple[int | None, int | None] | None = None
    """Of tables of windows: those that begin at start <= ms < stop."""
    committed: bool = False
    """Only what is committed."""


class Asks(Record, array_like=True):
    app: str
    asks: list[Ask]


class Values(Record, array_like=True):
    """What there is under each key; nothing at all where the question could not be answered.

    A key that is missing is missing in the partitions that were `read`; they are left out where none is. `why` others
    were not; `wait`: seconds after which to ask again.
    """

    held: list[list[Held]] = []
    read: list[int] = []
    copies: list[int] = []
    """Partitions of which a copy was looked at."""
    why: str = ""
    wait: float = 1.0


class Answers(Record, array_like=True):
    """In the order of the asks."""

    worker: str
    values: list[Values]


class Scan(Record, array_like=True):
    """For a page of rows behind the key `after`, in the order of encoded keys, out of these partitions."""

    app: str
    table: str
    partitions: list[int]
    limit: int
    after: bytes | None = None
    prefix: bytes | None = None
    start: bytes | None = None
    stop: bytes | None = None


class Page(Record, array_like=True):
    """Rows up to the key `frontier`; None: up to the end. `why` and `wait`: as in `Values`."""

    worker: str
    rows: list[tuple[bytes, list[Held]]] = []
    frontier: bytes | None = None
    read: list[int] = []
    why: str = ""
    wait: float = 1.0


ASKS: Final = schema_for(Asks, "msgpack")
ANSWERS: Final = schema_for(Answers, "msgpack")
SCAN: Final = schema_for(Scan, "msgpack")
PAGE: Final = schema_for(Page, "msgpack")
