"""Tables in handlers and outside of them: mapping methods, defaults, writes, ranges, what is refused where."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from streamz_actors.clock import Clock, ManualClock
from streamz_actors.dataflow.context import Collector, Context, current
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import NotInHandler, NotRunning, TopologyError, UsageError
from streamz_actors.streams.declare import declare_global_table, declare_set_table, declare_stream, declare_table
from streamz_actors.streams.set_table import SetTable
from streamz_actors.streams.stream import Table
from streamz_actors.tables.mapping import State
from tests.unit.operators.bench import FakeCollector, batch_of, builder_of, state_of, topic_of


@contextmanager
def handler(*states: State, keys: tuple[str, ...] = ("a", "b", "c")) -> Iterator[Context]:
    """As if an actor were at the first of a few events; `index` may be moved."""
    context = Context("agent 'x'", 0, {state.spec.name: state for state in states})
    context.batch = batch_of([(key, 0, 10 + n) for n, key in enumerate(keys)])
    token = current.set(context)
    try:
        yield context
    finally:
        current.reset(token)


class FakeRuntime:
    """A worker that holds some partitions, and knows every key of `owned`."""

    def __init__(self, partitions: Mapping[int, Any], owned: Mapping[Any, Any] | None = None) -> None:
        self.partitions, self.owned = partitions, owned or {}

    clock: Clock = ManualClock()
    collector: Collector = FakeCollector()

    def states(self, table: str) -> Mapping[int, Any]:
        return self.partitions

    async def lookup(self, table: str, key: Any) -> Any:
        return self.owned.get(key)

    async def dated(self, table: str, key: Any) -> Any:
        raise AssertionError("it is asked for values only")

    async def windows(self, *_: Any) -> Any:
        raise AssertionError("there are no windows")

    async def question(self) -> Any:
        raise AssertionError("tables ask nobody")

    def answer(self, *_: Any) -> None:
        raise AssertionError("tables answer nobody")

    async def request(self, *_: Any) -> Any:
        raise AssertionError("tables ask nobody")


def written(default: Any = None, **options: Any) -> tuple[Table[str, Any], State]:
    table = declare_table(builder_of(), "t", key_type=str, default=default, **options)
    assert table.spec is not None
    return table, state_of(table.spec)


# -- one key


def test_a_missing_key_is_an_error_or_the_default_and_stores_nothing() -> None:
    bare, state = written()
    with handler(state), pytest.raises(KeyError):
        bare["a"]
    table, state = written(default=dict)
    with handler(state):
        assert table["a"] == {}
        assert "a" not in table
        assert table.get("a") is None
        assert table.get("a", 7) == 7
        assert len(table) == 0


def test_writes_are_read_at_once_and_have_the_events_time() -> None:
    table, state = written(default=int)
    with handler(state) as context:
        table["a"] += 1
        context.index = 1
        table["a"] += 2
        assert table["a"] == 3
    assert state.timestamped("a") == (3, 11)
    assert [entry[1] for entry in context.journal] == [b"a", b"a"]


def test_deleting() -> None:
    table, state = written(default=int)
    with handler(state):
        table["a"] = 1
        del table["a"]
        with pytest.raises(KeyError):
            del table["a"]
        table["a"] = 2
        table["a"] = None
        assert "a" not in table


def test_pop_and_setdefault_know_a_missing_key_from_a_default() -> None:
    table, state = written(default=int)
    with handler(state):
        with pytest.raises(KeyError):
            table.pop("a")
        assert table.pop("a", 5) == 5
        assert table.setdefault("a") == 0
        assert table.setdefault("b", 4) == 4
        assert table.setdefault("b", 9) == 4
        assert table.pop("b") == 4
        assert dict(table) == {"a": 0}


def test_many_keys() -> None:
    table, state = written()
    with handler(state):
        table.update({"b": 2, "a": 1, "c": 3})
        assert list(table) == list(table.keys()) == ["a", "b", "c"]
        assert list(table.items()) == [("a", 1), ("b", 2), ("c", 3)]
        assert list(table.values()) == [1, 2, 3]
        assert 3 in table.values()
        assert ("a", 1) in table.items()
        assert len(table) == len(table.items()) == 3
        assert list(table.range("b", "c")) == [("b", 2)]
        assert list(table.prefix("a")) == [("a", 1)]
        table.clear()
        assert len(table) == 0


def test_changing_a_value_in_place_is_no_write() -> None:
    table, state = written(default=list, value_type=list[int])
    with handler(state):
        table["a"].append(1)
        assert table["a"] == []
        table["a"] = [1]
        table["a"].append(2)
        assert table["a"] == [1]


def test_a_table_equals_only_itself() -> None:
    table, _ = written()
    other, _ = written()
    assert table == table
    assert table != other
    assert len({table, other}) == 2


def test_defaults_are_callables_or_constants_that_nobody_can_change() -> None:
    table, state = written(default=0.5)
    with handler(state):
        assert table["a"] == 0.5
    with pytest.raises(TopologyError, match="shared by all keys"):
        written(default=[])


def test_a_class_as_default_is_the_value_type() -> None:
    assert written(default=float)[0].value_schema.type is float
    assert written(default=0.5)[0].value_schema.type is Any
    assert written(default=float, value_type=int)[0].value_schema.type is int


# -- where it is used


def test_outside_a_handler_keys_are_neither_read_nor_written() -> None:
    table, _ = written()
    for use in (lambda: table["a"], lambda: table.get("a"), lambda: "a" in table, lambda: table.update(a=1)):
        with pytest.raises(NotInHandler, match="lookup"):
            use()


def test_a_table_of_another_task_says_that_it_must_be_named() -> None:
    table, _ = written()
    with handler(), pytest.raises(UsageError, match=r"agent 'x' uses table 't'.*tables=\["):
        table["a"]
    with handler(), pytest.raises(UsageError, match="name it"):
        table["a"] = 1


def test_tables_of_the_topology_are_read_and_not_written() -> None:
    builder = builder_of()
    counts = declare_stream(builder, topic_of(builder, "in")).group_by_key().count("counts")
    assert counts.spec is not None
    state = state_of(counts.spec)
    state.put_raw(b"a", 3, 0)
    with handler(state):
        assert counts["a"] == 3
        with pytest.raises(UsageError, match="the topology keeps it"):
            counts["a"] = 1
    with handler(), pytest.raises(UsageError, match="name it"):
        counts["a"] = 1


def test_a_view_has_no_store_to_read() -> None:
    table, state = written()
    view = table.filter(lambda k, v: True)
    with handler(state), pytest.raises(UsageError, match="view without a store"):
        view["a"]
    with pytest.raises(UsageError, match="view without a store"):
        list(view)


def test_outside_a_handler_the_partitions_of_this_worker_are_shown() -> None:
    table, first = written()
    with pytest.raises(NotRunning):
        list(table)
    second = state_of(first.spec)
    first.put_raw(b"a", 1, 0)
    second.put_raw(b"b", 2, 0)
    table.builder.link.runtime = FakeRuntime({3: second, 0: first})
    assert list(table.items()) == [("a", 1), ("b", 2)]
    assert len(table) == 2
    assert list(table.range("b")) == [("b", 2)]


async def test_lookup_asks_the_owner_and_knows_the_default() -> None:
    table, _ = written(default=int)
    bare, _ = written()
    for each in (table, bare):
        each.builder.link.runtime = FakeRuntime({}, {"a": 4})
    assert await table.lookup("a") == 4
    assert await table.lookup("x") == 0
    assert await bare.lookup("x") is None


# -- set tables


def sets(**options: Any) -> tuple[SetTable[str, Any], State]:
    table = declare_set_table(builder_of(), "s", key_type=str, **options)
    assert table.spec is not None
    return table, state_of(table.spec)


def test_methods_of_a_set_are_writes() -> None:
    table, state = sets(value_type=int)
    with handler(state) as context:
        members = table["a"]
        members.add(1)
        members.add(1)
        members.update([2, 3], [4])
        members.discard(4)
        members.discard(9)
        members.remove(3)
        with pytest.raises(KeyError):
            members.remove(3)
        assert set(members) == set(table["a"]) == {1, 2}
        assert len(context.journal) == 4
        members |= {5, 6}
        members -= {1}
        members &= {2, 5}
        members ^= {2, 7}
        assert members == {5, 7}
        assert (members.union([1]), members.intersection([5]), members.difference([5])) == ({1, 5, 7}, {5}, {7})
        assert (members.issubset({5, 7, 8}), members.issuperset({5}), 5 in members, len(members)) == (True,) * 3 + (2,)
        assert members | {1} == {1, 5, 7}
        assert repr(members) in ("{5, 7}", "{7, 5}")


def test_an_empty_set_is_no_entry() -> None:
    table, state = sets()
    with handler(state):
        table["a"].add("x")
        assert "a" in table
        table["a"].clear()
        assert "a" not in table
        table["a"] = {"y"}
        table["a"].pop()
        assert "a" not in table
        table["a"] = set()
        assert list(table) == []


def test_two_views_of_one_set_see_each_other() -> None:
    table, state = sets(value_type=int)
    with handler(state):
        one, two = table["a"], table["a"]
        one.add(1)
        two.add(2)
        assert one == two == {1, 2}


async def test_sets_are_looked_up_and_missing_ones_are_empty() -> None:
    table, _ = sets()
    table.builder.link.runtime = FakeRuntime({}, {"a": {1}})
    assert await table.lookup("a") == {1}
    assert await table.lookup("b") == set()
    with pytest.raises(NotInHandler):
        table["a"]


# -- global tables


def global_table() -> tuple[Any, TopologyBuilder]:
    builder = builder_of()
    return declare_global_table(builder, topic_of(builder, "names", value=str)), builder


async def test_a_global_table_is_read_anywhere() -> None:
    table, builder = global_table()
    with pytest.raises(NotRunning):
        table["a"]
    (spec,) = builder.globals.values()
    written_, _ = written()
    assert written_.spec is not None
    state = state_of(type(written_.spec)("names", spec.topic.key_schema, spec.topic.value_schema, None))
    for key in (b"a", b"b", b"ba"):
        state.put_raw(key, key.decode().upper(), 0)
    builder.link.runtime = FakeRuntime({0: state})
    assert (table["a"], table.get("x"), "b" in table, len(table)) == ("A", None, True, 3)
    assert dict(table) == {"a": "A", "b": "B", "ba": "BA"}
    assert list(table.range("b", "ba")) == [("b", "B")]
    assert list(table.prefix("b")) == [("b", "B"), ("ba", "BA")]
    assert await table.lookup("a") == "A"
    with pytest.raises(KeyError):
        table["x"]
    with handler(state):
        assert table["a"] == "A"


def test_a_global_table_is_read_only() -> None:
    table, _ = global_table()
    with pytest.raises(UsageError, match="send to its topic 'names'"):
        table["a"] = "x"
    with pytest.raises(UsageError, match="read-only"):
        del table["a"]
    assert table == table
    assert len({table}) == 1
