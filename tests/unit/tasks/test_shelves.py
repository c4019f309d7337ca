"""Which place a task's state is taken from, where several processes share a folder."""

from pathlib import Path

import pytest

from streamz_actors import App
from streamz_actors.dataflow.subtopologies import split
from streamz_actors.errors import StoreLocked
from streamz_actors.stores.rocksdb import RocksBackend
from streamz_actors.tasks.shelves import Shelves, identities_of, places_of, task_of
from streamz_actors.transport.abc import TopicInfo

app = App("shelves")
app.stream(app.topic("in", key_type=str, value_type=int, partitions=1)).group_by_key().count("counts")
(SUB,) = split(app.frozen(), {}, 1)
TOPICS = {"shelves-counts-changelog": TopicInfo("shelves-counts-changelog", "id", 1)}
CLUSTER = "cluster"
NAME = "in-0"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "state"


def shelves_in(folder: Path) -> Shelves:
    """Of another process, as it were."""
    return Shelves(RocksBackend(folder))


def open_in(shelves: Shelves, others: int | None = 0) -> int | None:
    """The offset of what it opens."""
    return shelves.open(SUB, 0, CLUSTER, TOPICS, others).stores["counts"].offset


def left(folder: Path, place: str, offset: int) -> None:
    """State that a former process has left."""
    backend = RocksBackend(folder)
    shelf = backend.open(place, identities_of(SUB, CLUSTER, TOPICS))
    shelf.stores["counts"].write([(b"k", b"v")], offset)
    backend.close()


def test_the_first_place_has_the_tasks_name(folder: Path) -> None:
    assert open_in(shelves_in(folder)) is None
    assert RocksBackend(folder).places() == [NAME]


def test_what_this_process_has_open_is_what_it_gets(folder: Path) -> None:
    shelves = shelves_in(folder)
    first = shelves.open(SUB, 0, CLUSTER, TOPICS, 0)
    assert shelves.open(SUB, 0, CLUSTER, TOPICS, 0) is first
    assert shelves.names == {NAME}


def test_what_was_open_for_another_topic_of_that_name_is_opened_anew(folder: Path) -> None:
    shelves = shelves_in(folder)
    first = shelves.open(SUB, 0, CLUSTER, TOPICS, 0)
    first.stores["counts"].write([(b"k", b"v")], 3)
    made_anew = {name: TopicInfo(name, "another", 1) for name in TOPICS}
    assert shelves.open(SUB, 0, CLUSTER, made_anew, 0).stores["counts"].offset is None


def test_a_place_that_somebody_is_about_to_let_go_of_is_waited_for(folder: Path) -> None:
    holder, shelves = shelves_in(folder), shelves_in(folder)
    open_in(holder)
    with pytest.raises(StoreLocked, match="in-0"):
        open_in(shelves)
    holder.close([NAME])
    open_in(shelves)
    assert RocksBackend(folder).places() == [NAME]


def test_beside_one_who_may_have_it_there_is_another_place(folder: Path) -> None:
    holder, shelves, third = shelves_in(folder), shelves_in(folder), shelves_in(folder)
    open_in(holder)
    open_in(shelves, others=1)
    open_in(third, others=2)
    assert RocksBackend(folder).places() == [NAME, f"{NAME}@1", f"{NAME}@2"]


def test_who_has_waited_long_enough_takes_another_place(folder: Path) -> None:
    holder, shelves = shelves_in(folder), shelves_in(folder)
    open_in(holder)
    open_in(shelves, others=None)
    assert RocksBackend(folder).places() == [NAME, f"{NAME}@1"]


def test_of_several_that_are_free_the_one_that_has_come_furthest_is_taken(folder: Path) -> None:
    for place, offset in ((NAME, 5), (f"{NAME}@1", 9), (f"{NAME}@2", 7)):
        left(folder, place, offset)
    first, second, third = shelves_in(folder), shelves_in(folder), shelves_in(folder)
    assert [open_in(first), open_in(second, others=1), open_in(third, others=2)] == [9, 7, 5]


def test_numbers_that_have_become_free_are_given_again(folder: Path) -> None:
    left(folder, f"{NAME}@2", 1)
    holder, second, third = shelves_in(folder), shelves_in(folder), shelves_in(folder)
    assert open_in(holder) == 1
    open_in(second, others=1)
    open_in(third, others=2)
    assert RocksBackend(folder).places() == [NAME, f"{NAME}@1", f"{NAME}@2"]


def test_a_closed_shelf_is_free_for_others(folder: Path) -> None:
    shelves = shelves_in(folder)
    open_in(shelves)
    shelves.close([NAME, "never-opened"])
    assert shelves.names == frozenset()
    open_in(shelves_in(folder))


@pytest.mark.parametrize(
    ("place", "task"), [("in-0", "in-0"), ("in-0@3", "in-0"), ("a@b-0", "a@b-0"), ("a@b-0@12", "a@b-0")]
)
def test_a_place_says_whose_it_is(place: str, task: str) -> None:
    assert task_of(place) == task
    assert places_of(task, ["in-0", "in-0@3", "in-00", "a@b-0", "a@b-0@12"]).count(place) == 1
