"""Looking at a task's state without owning it: the contract of `Backend.peek`, run on both adapters."""

import subprocess
import sys
from pathlib import Path

import pytest

from streamz_actors.errors import StoreLocked
from streamz_actors.stores.abc import Backend
from streamz_actors.stores.rocksdb import RocksBackend

IDENTITY = "cluster-1/topic-1"


@pytest.fixture
def closed(backend: Backend) -> Backend:
    """A task that was worked on and then given up."""
    shelf = backend.open("task", {"totals": IDENTITY, "other": IDENTITY})
    shelf.stores["totals"].write([(b"a", b"1"), (b"", b"2"), (b"gone", b"3"), (b"gone", None)], 7)
    shelf.close()
    return backend


def test_what_a_closed_task_held_can_be_read_in_the_order_asked(closed: Backend) -> None:
    assert closed.peek("task", "totals", IDENTITY, [b"gone", b"", b"never", b"a"]) == [None, b"2", None, b"1"]
    assert closed.peek("task", "totals", IDENTITY, []) == []


def test_an_open_task_can_be_looked_at_and_goes_on(closed: Backend) -> None:
    shelf = closed.open("task", {"totals": IDENTITY, "other": IDENTITY})
    assert closed.peek("task", "totals", IDENTITY, [b"a"]) == [b"1"]
    shelf.stores["totals"].write([(b"a", b"9")], 8)
    shelf.flush()
    assert closed.peek("task", "totals", IDENTITY, [b"a"]) == [b"9"]
    assert shelf.stores["totals"].get(b"a") == b"9"
    shelf.close()


def test_looking_locks_nothing(closed: Backend) -> None:
    closed.peek("task", "totals", IDENTITY, [b"a"])
    closed.open("task", {"totals": IDENTITY}).close()
    closed.peek("task", "totals", IDENTITY, [b"a"])
    closed.destroy("task")
    assert closed.peek("task", "totals", IDENTITY, [b"a"]) is None


@pytest.mark.parametrize(
    ("task", "store", "identity"),
    [("task", "totals", "other"), ("task", "nope", IDENTITY), ("nope", "totals", IDENTITY)],
)
def test_what_is_not_there_or_somebody_elses_is_none(closed: Backend, task: str, store: str, identity: str) -> None:
    assert closed.peek(task, store, identity, [b"a"]) is None


def test_looking_makes_no_task(backend: Backend, tmp_path: Path) -> None:
    assert backend.peek("task", "totals", IDENTITY, [b"a"]) is None
    assert list(tmp_path.iterdir()) == []


def test_state_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    backend = RocksBackend(tmp_path)
    (tmp_path / "task").mkdir()
    (tmp_path / "task" / "CURRENT").write_text("MANIFEST-000009\n")
    assert backend.peek("task", "totals", IDENTITY, [b"a"]) is None


def test_what_another_backend_has_open_can_be_looked_at(tmp_path: Path) -> None:
    owner, other = RocksBackend(tmp_path), RocksBackend(tmp_path)
    store = owner.open("task", {"totals": IDENTITY}).stores["totals"]
    store.write([(b"a", b"1")], 1)
    owner.close()
    owner.open("task", {"totals": IDENTITY})
    assert other.peek("task", "totals", IDENTITY, [b"a"]) == [b"1"]
    owner.close()


class TestPlaces:
    """Which places there are, who has them open, and how far they are: without opening them."""

    def test_a_place_is_there_from_its_first_opening_to_its_destruction(self, closed: Backend) -> None:
        assert closed.places() == ["task"]
        closed.open("task@1", {"totals": IDENTITY}).close()
        assert closed.places() == closed.places("task") == ["task", "task@1"]
        assert closed.places("task@") == ["task@1"]
        closed.destroy("task")
        assert closed.places() == ["task@1"]

    def test_without_any_there_are_none(self, backend: Backend) -> None:
        assert backend.places() == []
        assert backend.covered("task", {"totals": IDENTITY}) == {}
        assert not backend.held("task")

    def test_it_is_held_while_it_is_open(self, closed: Backend) -> None:
        assert not closed.held("task")
        shelf = closed.open("task", {"totals": IDENTITY})
        assert closed.held("task")
        assert not closed.held("task@1")
        shelf.close()
        assert not closed.held("task")

    def test_what_its_stores_cover_is_told_of_those_that_have_an_offset_and_are_the_ones_meant(
        self, closed: Backend
    ) -> None:
        assert closed.covered("task", {"totals": IDENTITY, "other": IDENTITY, "new": IDENTITY}) == {"totals": 7}
        assert closed.covered("task", {"totals": "somebody else's"}) == {}


def test_a_place_that_another_backend_has_open_is_held(tmp_path: Path) -> None:
    owner, other = RocksBackend(tmp_path), RocksBackend(tmp_path)
    shelf = owner.open("task", {"totals": IDENTITY})
    assert other.held("task")
    shelf.close()
    assert not other.held("task")


def test_a_place_that_another_process_has_open_is_held(tmp_path: Path) -> None:
    holder = (
        "import sys, pathlib; from streamz_actors.stores.rocksdb import RocksBackend;"
        f"shelf = RocksBackend(pathlib.Path({str(tmp_path)!r})).open('task', {{'totals': 'x'}});"
        "print('open', flush=True); sys.stdin.read()"
    )
    backend = RocksBackend(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "open\n"
        assert backend.held("task")
        assert backend.held("task")
        with pytest.raises(StoreLocked):
            backend.destroy("task")
        process.stdin.close()
        process.wait()
    assert not backend.held("task")
    backend.destroy("task")
