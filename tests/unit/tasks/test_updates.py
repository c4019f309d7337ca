"""Updates that wait for a commit: the last of each key goes on, with what the key held before the first."""

from streamz_actors.dataflow.batch import Batch
from streamz_actors.serde.schema import schema_for
from streamz_actors.tasks.updates import Room, Updates
from streamz_actors.types import TopicPartition

KEYS, VALUES = schema_for(str, key=True), schema_for(int)


def batch(*rows: tuple[str, int | None, int], topic: str = "in", olds: list[int | None] | None = None) -> Batch:
    """Rows of key, value and offset; a row's time is its offset."""
    return Batch(
        TopicPartition(topic, 0),
        [offset for _, _, offset in rows],
        [offset for _, _, offset in rows],
        KEYS,
        VALUES,
        keys=[key for key, _, _ in rows],
        values=[value for _, value, _ in rows],
        olds=None if olds is None else list(olds),
    )


def rows(batches: list[Batch]) -> list[tuple[str, int | None, int]]:
    return [row for each in batches for row in zip(each.keys, each.values, each.offsets, strict=True)]


def test_of_several_updates_of_a_key_the_last_goes_on_where_it_came() -> None:
    updates = Updates(Room(10_000))
    updates.add(batch(("a", 1, 10), ("b", 1, 11), ("a", 2, 12)))
    updates.add(batch(("c", 1, 13), ("b", None, 14)))
    assert rows(list(updates.take())) == [("a", 2, 12), ("c", 1, 13), ("b", None, 14)]
    assert list(updates.take()) == []


def test_the_old_value_is_that_before_the_first_update_that_waited() -> None:
    updates = Updates(Room(10_000))
    updates.add(batch(("a", 1, 10), ("a", 2, 11), ("b", 5, 12), olds=[None, 1, 4]))
    updates.add(batch(("b", 6, 13), olds=[5]))
    (out,) = updates.take()
    assert rows([out]) == [("a", 2, 11), ("b", 6, 13)]
    assert out.olds == [None, 4]


def test_rows_of_two_topics_stay_apart_for_messages_to_say_where_they_came_from() -> None:
    updates = Updates(Room(10_000))
    updates.add(batch(("a", 1, 10)))
    updates.add(batch(("b", 1, 5), topic="other"))
    assert [out.origin.topic for out in updates.take()] == ["in", "other"]


def test_what_waits_takes_room_until_it_goes_on_or_is_dropped() -> None:
    room = Room(700)
    updates, others = Updates(room), Updates(room)
    updates.add(batch(("a", 1, 10), ("a", 2, 11)))
    assert not room.full
    others.add(batch(("b", 1, 12), ("c", 1, 13)))
    assert room.full
    others.drop()
    assert not room.full
    assert len(others) == 0
    list(updates.take())
    assert room.taken == 0
