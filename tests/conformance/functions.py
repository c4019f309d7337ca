"""The closed vocabulary of pure functions that topologies name: {"fn": <name>, <argument>: <value>, ...}.

`resolve(role, spec)` gives the Python callable. The role fixes its parameters:

role          parameters           returns
------------  -------------------  -----------------------------------------------
initializer   ()                   the first aggregate
aggregator    (key, value, agg)    the next aggregate (adder and subtractor alike)
merger        (key, agg, agg)      the aggregate of two sessions that became one
reducer       (agg, value)         the next aggregate (adder and subtractor alike)
joiner        (left, right)        the joined value; a missing side is None
predicate     (key, value)         bool
selector      (key, value)         a key: select_key, group_by, join keys, foreign keys
pair          (key, value)         (key, value), or None for no pair
value         (value)              a value
values        (value)              a list of values
pairs         (key, value)         a list of (key, value)
processor     ()                   a new processor object (init, process)
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any


def text(value: Any) -> str:
    """How every text function writes a value: None is "null", everything else as `str` writes it."""
    return "null" if value is None else str(value)


def _part(value: Any, sep: str, index: int, none: str | None = None) -> str | None:
    """Part `index` of a text split at `sep`; None if there is no such part or if it is the text `none`."""
    parts = [] if value is None else str(value).split(sep)
    found = parts[index] if index < len(parts) else None
    return None if found == none else found


class CountAndPunctuate:
    """Counts records; every `interval_ms` of `clock` forwards ("punct", str(count)) under the punctuation's time."""

    def __init__(self, interval_ms: int, clock: str) -> None:
        self.interval_ms, self.clock, self.count = interval_ms, clock, 0

    def init(self, context: Any) -> None:
        self.context = context
        context.schedule(timedelta(milliseconds=self.interval_ms), self.punctuate, clock=self.clock)

    def process(self, key: Any, value: Any) -> None:
        self.count += 1

    def punctuate(self, timestamp: int) -> None:
        self.context.forward("punct", str(self.count), timestamp=timestamp)


def _always(function: Callable[..., Any]) -> Callable[..., Callable[..., Any]]:
    return lambda: function


PAIR: dict[str, Callable[..., Any]] = {
    "identity": lambda k, v: (k, v),
    "swap": lambda k, v: (v, k),
    "value_value": lambda k, v: (v, v),
    "null_key": lambda k, v: (None, v),
    "no_pair": lambda k, v: None,
    "key_chars": lambda k, v: (k[0], k[1]),                    # "12" -> ("1", "2")
}

FUNCTIONS: dict[str, dict[str, Callable[..., Callable[..., Any]]]] = {
    "initializer": {
        "const": lambda value: lambda: value,
    },
    "aggregator": {
        "concat": lambda sep: lambda k, v, agg: text(agg) + sep + text(v),
        "add_int": lambda: lambda k, v, agg: agg + int(v),
        "count_one": lambda: lambda k, v, agg: agg + 1,
        "remove_text": lambda: lambda k, v, agg: agg.replace(v, ""),      # every occurrence
    },
    "merger": {
        "concat": lambda sep: lambda k, one, two: text(one) + sep + text(two),
        "sum": lambda: lambda k, one, two: one + two,
    },
    "reducer": {
        "concat": lambda sep: lambda agg, v: text(agg) + sep + text(v),
    },
    "joiner": {
        "concat": lambda sep, before="", after="": lambda left, right: before + text(left) + sep + text(right) + after,
    },
    "predicate": {
        "key_multiple_of": lambda n: lambda k, v: k % n == 0,
        "key_negative": lambda: lambda k, v: k < 0,
        "value_multiple_of": lambda n: lambda k, v: int(v) % n == 0,
        "not": lambda of: (lambda inner: lambda k, v: not inner(k, v))(resolve("predicate", of)),
    },
    "selector": {
        "key": lambda: lambda k, v: k,
        "value": lambda: lambda k, v: v,
        "null": lambda: lambda k, v: None,
        "value_part": lambda sep, index, none=None: lambda k, v: _part(v, sep, index, none),
        "value_lookup": lambda table: lambda k, v: table[text(v)],
    },
    "pair": {
        **{name: _always(function) for name, function in PAIR.items()},
        "by_key": lambda cases, default: lambda k, v: PAIR[cases.get(k, default)](k, v),
    },
    "value": {
        "append": lambda suffix: lambda v: text(v) + suffix,
        "first_digit": lambda: lambda v: ord(v[0]) - ord("0"),
    },
    "values": {
        "prefix_each": lambda prefixes: lambda v: [prefix + text(v) for prefix in prefixes],
    },
    "pairs": {
        "identity": lambda: lambda k, v: [(k, v)],
        "repeat_by_key": lambda: lambda k, v: [(str(k * 10 + i), v) for i in range(k)],
        "value_and_key": lambda value_prefix, key_prefix: lambda k, v: [
            (k, value_prefix + text(v)), (k, key_prefix + text(k))],
    },
    "processor": {
        "count_and_punctuate": lambda interval_ms, clock: lambda: CountAndPunctuate(interval_ms, clock),
    },
}


def resolve(role: str, spec: dict[str, Any]) -> Callable[..., Any]:
    """The callable that `spec` names, for one role. KeyError for a name outside the vocabulary."""
    arguments = {name: value for name, value in spec.items() if name != "fn"}
    return FUNCTIONS[role][spec["fn"]](**arguments)


def make_async(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function as `async def`: user functions may be either."""
    async def wrapped(*arguments: Any) -> Any:
        return function(*arguments)
    return wrapped
