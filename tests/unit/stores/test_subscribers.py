"""Subscriptions are found by their subject, whatever has been committed, is being committed, or is not."""

import gc

from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.serde.schema import schema_for
from streamz_actors.stores.logged import LoggedStore
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.stores.shared import Shared
from streamz_actors.stores.subscribers import Subscribers

SUBJECTS = [b"", b"a", b"ab", b"b", b"\xff", b"\xff\xff"]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(SUBJECTS), st.sampled_from([b"", b"1", b"2", b"b"]), st.booleans()),
        st.sampled_from(["begin", "end", "look"]),
    ),
    max_size=40,
)


def logged() -> LoggedStore:
    store = MemoryBackend().open("task", {"s": "test"}).stores["s"]
    schema = schema_for(bytes)
    return LoggedStore(store, schema.encode, schema.encode_all, schema.decode, immutable=True)


@given(STEPS)
def test_the_subscribers_of_a_subject_are_those_that_have_not_left(steps: list[object]) -> None:
    kept = logged()
    subscribers = Subscribers(kept)
    known: set[tuple[bytes, bytes]] = set()
    taken = None
    for step in steps:
        if isinstance(step, tuple):
            subject, subscriber, wanted = step
            subscribers.set(subject, subscriber, wanted, 1)
            (known.add if wanted else known.discard)((subject, subscriber))
        elif step == "begin" and taken is None:
            taken = kept.begin_flush()
        elif step == "end" and taken is not None:
            kept.apply(*taken, None)
            kept.end_flush()
            taken = None
        elif step == "look":
            _same(subscribers, known)
    _same(subscribers, known)


def _same(subscribers: Subscribers, known: set[tuple[bytes, bytes]]) -> None:
    for subject in SUBJECTS:
        assert subscribers.of(subject) == sorted(who for what, who in known if what == subject)


def test_what_is_shared_beside_a_store_is_one_and_ends_with_its_holders() -> None:
    shared: Shared[Subscribers] = Shared(Subscribers)
    one, other = logged(), logged()
    first = shared.of(one)
    assert shared.of(one) is first
    assert shared.of(other) is not first
    first.set(b"a", b"1", True, 0)
    del first
    gc.collect()
    assert shared.of(one)._young == {}
