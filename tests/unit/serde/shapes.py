"""The types that the tests of schemas write and read."""

import dataclasses
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypedDict, TypeVar

import msgspec
import pydantic

from streamz_actors.serde.models import Record

T = TypeVar("T")
FORMATS = ("json", "msgpack")


class Color(Enum):
    RED = "red"


class Word(StrEnum):
    TEA = "tea"


class Level(IntEnum):
    LOW = 1


class Order(Record):
    account: str
    amount: float
    discount: float | None = None
    quantity: int = 1


class Base(Record):
    x: int


class Derived(Base):
    y: int = 0


class Tagged(Base, tag=True):
    pass


class Frozen(Record, frozen=True):
    x: float
    names: frozenset[str] = frozenset()
    colors: tuple[Color, ...] = ()


class Loose(Record):
    payload: Any
    more: dict[str, Any] = {}


class Nested(Record):
    order: Order | None
    rates: dict[str, float] = {}


class Tree(Record, frozen=True):
    kids: "tuple[Tree, ...]" = ()


class Box(Record, Generic[T]):
    content: T


class Plain(msgspec.Struct):
    x: int


@dataclasses.dataclass
class Data:
    x: int
    when: datetime | None = None


@dataclasses.dataclass(frozen=True)
class FrozenData:
    x: int


@dataclasses.dataclass(eq=False)
class Incomparable:
    payload: Any


class Dictated(TypedDict):
    account: str
    amount: float


class Pair(NamedTuple):
    x: int
    y: str


class Model(pydantic.BaseModel):
    x: int
    y: float = 0.0
    inner: "Model | None" = None


class StrictModel(pydantic.BaseModel, strict=True):
    day: date


class OtherModel(pydantic.BaseModel):
    z: str


class HasModel(Record):
    model: Model


Metres = NewType("Metres", float)
Positive = Annotated[int, msgspec.Meta(gt=0)]

MOMENT = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)

TYPED: list[tuple[Any, Any]] = [
    (int, 2**60),
    (float, 1.5),
    (bool, True),
    (str, "tea"),
    (Order, Order("alice", 5.0)),
    (Order | None, Order("alice", 5.0, 0.5)),
    (Frozen, Frozen(1.5, frozenset("ab"), (Color.RED,))),
    (Tree, Tree((Tree(), Tree((Tree(),))))),
    (Loose, Loose({"a": [1, None]}, {"b": 2.5})),
    (Nested, Nested(None, {"a": 1.5})),
    (Box[int], Box(5)),
    (Plain, Plain(1)),
    (Data, Data(1, MOMENT)),
    (FrozenData, FrozenData(1)),
    (Incomparable | None, None),
    (Dictated, {"account": "alice", "amount": 5.0}),
    (Pair, Pair(1, "a")),
    (Model, Model(x=1, inner=Model(x=2))),
    (StrictModel, StrictModel(day=date(2026, 1, 2))),
    (list[Model], [Model(x=1)]),
    (HasModel, HasModel(Model(x=1))),
    (list[int], [1, 2]),
    (dict[str, float], {"a": 1.5}),
    (tuple[int, str], (1, "a")),
    (set[str], {"a", "b"}),
    (Sequence[int], [1]),
    (Mapping[str, int], {"a": 1}),
    (int | str, "x"),
    (int | list[int], [1]),
    (Literal["a", "b"], "a"),
    (Metres, 1.5),
    (Positive, 1),
    (Annotated[list[int], "any"], [1]),
    (datetime, MOMENT),
    (date, date(2026, 1, 2)),
    (timedelta, timedelta(seconds=90)),
    (uuid.UUID, uuid.UUID(int=7)),
    (Decimal, Decimal("1.10")),
    (Color, Color.RED),
    (Level, Level.LOW),
    (dict, {"a": {"b": [1, None, True, 1.5]}}),
    (dict[str, Any], {"a": None}),
    (list, [1, "a", None]),
    (Any, {"a": [1, {"b": None}]}),
    (None, 5),
]
