"""What only the store in memory has: reads that cost a dictionary's, and scans that copy only when they must."""

from streamz_actors.stores.memory import MemoryBackend


def test_get_is_the_dictionarys_own() -> None:
    store = MemoryBackend().open("task", {"s": "identity"}).stores["s"]
    assert type(store.get) is type({}.get)


def test_keys_that_come_and_go_unscanned_are_not_remembered() -> None:
    shelf = MemoryBackend().open("task", {"s": "identity"})
    store = shelf.stores["s"]
    for n in range(1_000):
        store.write([(b"%d" % n, b"v"), (b"%d" % (n - 1), None)])
    content = store._content  # type: ignore[attr-defined]
    assert len(content._fresh) == 1
    assert list(store.scan()) == [(b"999", b"v")]


def test_state_lives_as_long_as_its_backend() -> None:
    MemoryBackend().open("task", {"s": "identity"}).stores["s"].write([(b"k", b"v")], 1)
    store = MemoryBackend().open("task", {"s": "identity"}).stores["s"]
    assert (store.get(b"k"), store.offset) == (None, None)
