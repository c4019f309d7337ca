"""What a commit waits for: which legs stand behind state, when nothing is left with them, how much they are given."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from streamz_actors import AgentStream, App, Tumbling
from streamz_actors.dataflow.node import Leg, Node
from streamz_actors.dataflow.subtopologies import SubTopology, split
from streamz_actors.tasks.barrier import FIRST, LEAST, MOST, Barrier, behind_state, feeding_into, next_limit


async def same(value: Any) -> Any:
    return value


async def handle(stream: AgentStream[Any, Any]) -> None:
    async for _ in stream:
        pass


async def through(stream: AgentStream[Any, Any]) -> AsyncIterator[int]:
    async for value in stream:
        yield value


class House:
    """An application with a topic `in`, and what of it stands behind state."""

    def __init__(self) -> None:
        self.app = App("house")
        self.topic = self.app.topic("in", key_type=str, value_type=int, partitions=1)
        self.stream = self.app.stream(self.topic)

    def sub(self, topic: str = "in") -> SubTopology:
        topology = self.app.spec(self.app.settings).topology
        (found,) = (sub for sub in split(topology, {}, 1) if topic in sub.topics)
        return found

    def behind(self) -> set[str]:
        """Of the agents and slow calls, those behind state: agents by name."""
        found = behind_state(self.sub())
        return {node.name if node.agent else "call" for node in found if node.agent or node.kind == "map_async"}


def test_what_reads_a_topic_has_no_state_before_it_whatever_tables_it_uses() -> None:
    house = House()
    house.app.table("own", key_type=str, value_type=int)
    house.app.agent(house.topic, name="plain")(handle)
    house.app.agent(house.stream.map_async(same), name="called")(handle)
    assert house.behind() == set()


def test_a_count_and_windows_are_state_for_all_that_comes_behind() -> None:
    house = House()
    grouped = house.stream.group_by_key()
    house.app.agent(grouped.count("counts").to_stream(), name="counted")(handle)
    windows = grouped.windowed_by(Tumbling(1)).count("windows", emit="close").to_stream()
    house.app.agent(windows.map_async(same).filter(lambda _, value: value > 1), name="closed")(handle)
    assert house.behind() == {"counted", "closed", "call"}


def test_an_agent_with_tables_is_state_for_what_comes_behind_it() -> None:
    house = House()
    house.app.table("seen", key_type=str, value_type=int)
    house.app.agent(house.stream.through_agent(through, name="first"), name="second")(handle)
    assert house.behind() == {"second"}


def test_an_agent_that_names_no_table_of_its_own_is_none() -> None:
    house = House()
    house.app.table("seen", key_type=str, value_type=int)
    house.app.agent(house.stream.through_agent(through, name="first", tables=[]), name="second")(handle)
    assert house.behind() == set()


def test_the_changes_of_an_agents_table_come_from_state() -> None:
    house = House()
    table = house.app.table("written", key_type=str, value_type=int)
    house.app.agent(house.topic, name="writer")(handle)
    house.app.agent(table.to_stream(), name="follower")(handle)
    assert house.behind() == {"follower"}


def test_a_table_that_is_a_topic_is_none_nor_is_a_look_up_in_it() -> None:
    house = House()
    other = house.app.topic("table", key_type=str, value_type=int, partitions=1)
    table = house.app.table(other)
    house.app.agent(table.to_stream(), name="changes")(handle)
    house.app.agent(house.stream.join(table, lambda one, two: one + two), name="joined")(handle)
    assert house.behind() == set()


def test_feeding_is_what_has_a_way_to_the_ends() -> None:
    house = House()
    calls = house.stream.map_async(same)
    house.app.agent(calls.group_by_key().count("counts").to_stream(), name="last")(handle)
    house.app.agent(house.stream, name="aside")(handle)
    sub = house.sub()
    ends = {node for node in sub.nodes if node.name == "last"}
    assert {node.kind for node in feeding_into(sub, ends)} >= {"source", "map_async", "count"}
    assert not {"last", "aside"} & {node.name for node in feeding_into(sub, ends)}


# -- how much there is room for


class Held(Leg):
    """A leg of which a test says how much it has."""

    @property
    def sequential(self) -> bool:
        return True

    def keep_order(self) -> None:
        """It has none."""

    def __init__(self) -> None:
        self.rows, self.giving, self.resting, self.hurried = 0, False, True, False

    @property
    def gives(self) -> bool:
        return self.giving

    def pending(self) -> int:
        return self.rows

    def idle(self) -> bool:
        return self.resting

    def hurry(self, hurried: bool) -> None:
        self.hurried = hurried

    def unfinished(self) -> dict[Any, int]:
        raise AssertionError

    def room(self) -> bool:
        raise AssertionError

    def drained(self) -> bool:
        raise AssertionError

    def drain(self) -> None:
        raise AssertionError

    def freeze(self) -> None:
        raise AssertionError

    def resume(self) -> None:
        raise AssertionError

    def flush(self) -> None:
        raise AssertionError

    async def stop(self) -> None:
        raise AssertionError


class Case:
    """Calls, then a count, then an agent; each with a leg of the test's, and a clock of the test's."""

    def __init__(self) -> None:
        house = House()
        house.app.agent(
            house.stream.map_async(same).group_by_key().count("counts").to_stream(), name="last"
        )(handle)
        sub = house.sub()
        self.before, self.behind = Held(), Held()
        legs: dict[Node, Leg] = {
            node: self.behind if node.agent else self.before
            for node in sub.nodes
            if node.agent or node.kind == "map_async"
        }
        self.now = 0.0
        self.barrier = Barrier(sub, legs, lambda: self.now)


def test_it_is_clear_when_nothing_is_behind_the_state_and_nothing_goes_there() -> None:
    case = Case()
    assert case.barrier.clear
    case.before.rows = 5  # before the state: it holds the offsets back, not the commit
    assert case.barrier.clear
    case.before.giving = True
    assert not case.barrier.clear
    case.before.giving, case.behind.rows = False, 1
    assert not case.barrier.clear
    case.behind.rows, case.behind.resting = 0, False
    assert not case.barrier.clear


def test_only_what_stands_behind_the_state_is_to_hurry() -> None:
    case = Case()
    case.barrier.hold()
    assert (case.before.hurried, case.behind.hurried) == (False, True)
    case.barrier.release()
    assert (case.before.hurried, case.behind.hurried) == (False, False)


def test_there_is_room_again_when_a_quarter_of_it_is_free() -> None:
    case = Case()
    assert case.barrier.room(2_000) == FIRST
    assert case.barrier.room(10) == 10
    case.behind.rows, case.before.rows = FIRST // 2, FIRST // 4
    assert case.barrier.room(2_000) == FIRST // 4
    case.behind.rows += 1
    assert case.barrier.room(2_000) == 0


def test_without_legs_behind_state_there_is_always_room_and_nothing_to_hold() -> None:
    house = House()
    house.app.agent(house.topic, name="plain")(handle)
    sub = house.sub()
    barrier = Barrier(sub, {node: Held() for node in sub.nodes if node.agent}, lambda: 0.0)
    barrier.hold()
    assert not barrier.held
    assert barrier.clear
    assert barrier.room(2_000) == 2_000


def test_a_commit_that_waited_long_leaves_less_room_and_quick_ones_more() -> None:
    case = Case()
    case.behind.rows = 200
    case.barrier.hold()
    case.now = 10.0  # 20 a second
    case.behind.rows = 0
    case.barrier.release()
    assert case.barrier.room(2_000) == 20
    case.barrier.stepped = 20
    case.barrier.release()
    assert case.barrier.room(2_000) == 80


@pytest.mark.parametrize(
    ("waiting", "took", "full", "expected"),
    [
        (1_000, 0.0, True, 4 * 256),
        (1_000, 0.0, False, 256),
        (1_000, 0.5, True, 256),
        (256, 2.0, True, 128),
        (1, 3_600.0, True, LEAST),
        (100_000, 2.0, True, 256),
    ],
)
def test_the_limit_follows_what_is_done_in_a_second(waiting: int, took: float, full: bool, expected: int) -> None:
    assert next_limit(256, LEAST, waiting, took, full=full) == expected


def test_the_limit_has_bounds() -> None:
    assert next_limit(MOST, LEAST, 0, 0.0, full=True) == MOST
    assert next_limit(2 * MOST, 2 * MOST, 0, 0.0, full=True) == 2 * MOST
