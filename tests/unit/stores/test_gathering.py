"""Writes that wait are read, go in together, and wait no longer than is said."""

from collections.abc import Iterable

import pytest

from streamz_actors.stores import gathering
from streamz_actors.stores.abc import Pair, Store
from streamz_actors.stores.gathering import Gathering
from streamz_actors.stores.memory import MemoryBackend


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Counted:
    """A store, and the writes that it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store: Store = MemoryBackend().open("task", {"s": "test"}).stores["s"]
        self.writes: list[tuple[dict[bytes, bytes | None], int | None]] = []
        write = self.store.write

        def counting(pairs: Iterable[Pair], offset: int | None = None) -> None:
            given = dict(pairs)
            self.writes.append((given, offset))
            write(given.items(), offset)

        monkeypatch.setattr(self.store, "write", counting)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def test_many_small_commits_become_one_write_a_second(behind: Counted, clock: Clock) -> None:
    store = Gathering(behind.store, clock)
    for number in range(6):
        store.gather([(b"hot", b"%d" % number), (b"%d" % number, b"")], number)
        clock.now += gathering.EVERY / 4
    first, last = behind.writes
    assert first == ({b"hot": b"0", b"0": b""}, 0)
    assert last == ({b"hot": b"4", b"1": b"", b"2": b"", b"3": b"", b"4": b""}, 4)
    assert (store.get(b"hot"), store.offset, behind.store.offset) == (b"5", 5, 4)


def test_commits_that_come_seldom_do_not_wait(behind: Counted, clock: Clock) -> None:
    store = Gathering(behind.store, clock)
    for number in range(3):
        store.gather([(b"k", b"%d" % number)], number)
        assert behind.store.get(b"k") == b"%d" % number
        clock.now += gathering.EVERY


def test_much_does_not_wait(behind: Counted, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST", 3)
    store = Gathering(behind.store, clock)
    for number in range(6):
        store.gather([(b"%d" % number, b"")], number)
    assert [len(pairs) for pairs, _ in behind.writes] == [1, 3]


def test_a_write_at_once_comes_behind_what_waits(behind: Counted, clock: Clock) -> None:
    store = Gathering(behind.store, clock)
    store.gather([(b"k", b"0")], 0)
    store.gather([(b"k", b"1")], 1)
    store.write([(b"k", b"2")], 2)
    assert (behind.store.get(b"k"), store.offset) == (b"2", 2)


def test_what_is_erased_or_cleared_does_not_come_back(behind: Counted, clock: Clock) -> None:
    store = Gathering(behind.store, clock)
    store.gather([], None)
    for everything in (False, True):
        store.gather([(b"k", b"v")], 1)
        if everything:
            store.clear()
        else:
            store.erase(b"k", b"l")
        clock.now += gathering.EVERY
        store.gather([(b"other", b"v")], None)
        assert (store.get(b"k"), behind.store.get(b"k")) == (None, None)


def test_after_its_end_nothing_waits(behind: Counted, clock: Clock) -> None:
    store = Gathering(behind.store, clock)
    store.gather([(b"k", b"0")], 0)
    store.gather([(b"k", b"1")], 1)
    store.close()
    assert behind.store.get(b"k") == b"1"
    store.gather([(b"k", b"2")], 2)
    assert behind.store.get(b"k") == b"2"
