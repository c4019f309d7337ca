"""Looking at a task's state without owning it: the contract of `Backend.peek`, run on both adapters."""

from pathlib import Path

import pytest

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
