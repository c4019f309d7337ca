"""Transactions of the embedded broker: what readers are shown, what compaction may touch, time-outs, late markers."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.clock import ManualClock
from streamz_actors.errors import CommitError, TransportError
from streamz_actors.transport.abc import GroupMember, TopicSpec
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.log import PartitionLog
from streamz_actors.transport.memory.offsets import Offsets
from streamz_actors.transport.memory.transactions import Ticket
from streamz_actors.types import TopicPartition

PARTITION = TopicPartition("t", 0)


class Site:
    """A broker with one topic, whose time only `wait` moves."""

    def __init__(self, marker_delay: float = 0.0, **config: str) -> None:
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock, check_interval=None, marker_delay=marker_delay)
        named = {name.replace("_", "."): value for name, value in config.items()}
        self.broker.create_topic(TopicSpec("t", 1, None, named))
        self.transactions = self.broker.transactions

    @property
    def log(self) -> PartitionLog:
        return self.broker.log(PARTITION)

    def put(self, key: str, value: str | None = "", ticket: Ticket | None = None) -> int:
        content = value.encode() if value is not None else None
        return self.broker.append(PARTITION, [key.encode()], [content], [self.clock.now()], None, ticket)

    def keys(self, committed: bool = True, limit: int = 2) -> list[str]:
        """What a reader from the beginning is shown."""
        keys: list[str] = []
        position = self.log.begin
        while (batch := self.log.read(position, limit, committed)) is not None:
            assert len(batch.keys) == len(batch.values) == len(batch.timestamps) == len(batch.offsets) <= limit
            assert all(position <= offset < batch.next_offset for offset in batch.offsets)
            keys += [key.decode() if key is not None else "?" for key in batch.keys]
            position = batch.next_offset
        assert position == (self.log.stable_end if committed else self.log.end)
        return keys

    def wait(self, seconds: float) -> None:
        end = self.clock.monotonic() + seconds
        while self.clock.advance_to_next(end):
            pass


@pytest.fixture
def site() -> Site:
    return Site()


def test_the_stable_end_is_where_the_oldest_open_transaction_begins(site: Site) -> None:
    one, two = site.transactions.begin("one", 60), site.transactions.begin("two", 60)
    site.put("plain")
    assert site.log.stable_end == 1
    site.put("a", ticket=one)
    site.put("b", ticket=two)
    site.put("c", ticket=one)
    assert (site.log.stable_end, site.log.end) == (1, 4)
    site.transactions.end(one, True)
    assert (site.log.stable_end, site.log.end) == (2, 5)
    assert site.keys() == ["plain", "a"]
    site.transactions.end(two, False)
    assert site.log.stable_end == 6
    assert site.keys() == ["plain", "a", "c"]
    assert site.keys(committed=False) == ["plain", "a", "b", "c"]


def test_a_header_column_without_anything_left_in_it_is_left_out(site: Site) -> None:
    ticket = site.transactions.begin("tx", 60)
    site.broker.append(PARTITION, [b"a"], [b""], [0], [(("h", b"1"),)], ticket)
    site.transactions.end(ticket, False)
    site.put("b")
    batch = site.log.read(0, 10, committed=True)
    assert batch is not None
    assert (batch.keys, batch.headers, batch.next_offset) == ([b"b"], None, 3)
    whole = site.log.read(0, 10)
    assert whole is not None
    assert whole.headers == [(("h", b"1"),), ()]


def test_a_watcher_hears_of_a_transactions_end(site: Site) -> None:
    heard: list[int] = []
    site.log.watch(lambda: heard.append(site.log.stable_end))
    ticket = site.transactions.begin("tx", 60)
    site.put("a", ticket=ticket)
    site.transactions.end(ticket, True)
    assert heard == [0, 2]


def test_compaction_leaves_open_transactions_alone_and_takes_aborted_and_control_records_away() -> None:
    site = Site(cleanup_policy="compact")
    aborted, kept = site.transactions.begin("one", 60), site.transactions.begin("two", 60)
    site.put("a")
    site.put("a", ticket=aborted)
    site.put("b", ticket=aborted)
    site.transactions.end(aborted, False)
    site.put("c")
    site.put("a", ticket=kept)
    site.put("a", ticket=kept)
    site.put("c")
    site.broker.clean()
    assert site.keys(committed=False) == ["a", "c", "a", "a", "c"]
    assert site.keys() == ["a", "c"]
    assert len(site.log) == 5
    site.transactions.end(kept, True)
    site.broker.clean()
    assert site.keys() == site.keys(committed=False) == ["a", "c"]
    assert len(site.log) == 2


def test_a_tombstone_that_is_aborted_deletes_nothing() -> None:
    site = Site(cleanup_policy="compact", delete_retention_ms="0")
    site.put("a", "1")
    ticket = site.transactions.begin("tx", 60)
    site.put("a", None, ticket)
    for _ in range(2):
        site.broker.clean()
    site.transactions.end(ticket, False)
    for _ in range(2):
        site.broker.clean()
    assert site.keys() == ["a"]


def test_retention_does_not_reach_into_an_open_transaction() -> None:
    site = Site(retention_ms="1000")
    site.put("old")
    ticket = site.transactions.begin("tx", 60)
    site.put("open", ticket=ticket)
    site.wait(10)
    site.broker.clean()
    assert site.keys(committed=False) == ["open"]
    site.transactions.end(ticket, True)
    site.wait(10)
    site.broker.clean()
    assert (site.log.begin, site.log.end) == (3, 3)


def test_records_of_an_open_transaction_can_be_deleted(site: Site) -> None:
    ticket = site.transactions.begin("tx", 60)
    for key in "abc":
        site.put(key, ticket=ticket)
    site.log.delete_before(2)
    assert (site.log.begin, site.log.stable_end) == (2, 2)
    site.transactions.end(ticket, True)
    assert site.keys() == ["c"]


def test_a_transaction_is_aborted_when_its_time_is_over_and_its_producer_fenced(site: Site) -> None:
    ticket = site.transactions.begin("tx", 10)
    site.wait(100)
    site.put("a", ticket=ticket)
    site.wait(9)
    assert site.transactions.has_open("tx")
    site.wait(2)
    assert not site.transactions.has_open("tx")
    assert (site.keys(), site.log.stable_end) == ([], 2)
    with pytest.raises(TransportError, match="fenced"):
        site.put("b", ticket=ticket)
    with pytest.raises(TransportError, match="fenced"):
        site.transactions.end(ticket, True)


def test_each_transaction_has_the_whole_time(site: Site) -> None:
    ticket = site.transactions.begin("tx", 10)
    for _ in range(5):
        site.put("a", ticket=ticket)
        site.wait(6)
        site.transactions.end(ticket, True)
        site.wait(6)
    assert site.keys() == ["a"] * 5


def test_an_id_that_nobody_began_has_nothing_open(site: Site) -> None:
    assert not site.transactions.has_open("tx")
    ticket = site.transactions.begin("tx", 10)
    site.transactions.end(ticket, True)
    assert site.log.end == 0


def test_control_records_may_come_later_than_the_decision() -> None:
    site = Site(marker_delay=0.5)
    ticket = site.transactions.begin("tx", 60)
    site.put("a", ticket=ticket)
    site.transactions.end(ticket, True)
    assert not site.transactions.has_open("tx")
    assert (site.keys(), site.log.end) == ([], 1)
    site.wait(0.5)
    assert (site.keys(), site.log.end) == (["a"], 2)


@pytest.mark.parametrize("next_step", ["send", "begin", "end"])
def test_what_an_id_does_next_comes_after_its_control_records(next_step: str) -> None:
    site = Site(marker_delay=0.5)
    ticket = site.transactions.begin("tx", 60)
    site.put("a", ticket=ticket)
    site.transactions.end(ticket, True)
    match next_step:
        case "send":
            site.put("b", ticket=ticket)
            assert site.keys(committed=False) == ["a", "b"]
            assert site.log.stable_end == 2
        case "begin":
            site.transactions.begin("tx", 60)
            assert site.keys() == ["a"]
        case _:
            site.transactions.end(ticket, False)  # there is nothing open that it could end
            site.wait(1)
            assert site.keys() == ["a"]


def test_a_deleted_topic_does_not_hinder_a_transactions_end(site: Site) -> None:
    site.broker.create_topic(TopicSpec("other", 1))
    other = TopicPartition("other", 0)
    ticket = site.transactions.begin("tx", 60)
    site.put("a", ticket=ticket)
    site.broker.append(other, [b"k"], [b"v"], [0], None, ticket)
    site.broker.delete_topic("t")
    site.transactions.end(ticket, True)
    assert site.broker.log(other).stable_end == 2


def test_offsets_are_pending_until_the_transaction_ends() -> None:
    offsets = Offsets()
    offsets.commit({PARTITION: 1}, {})
    offsets.add(1, {PARTITION: 5})
    offsets.add(2, {TopicPartition("u", 0): 5})
    assert not offsets.stable([PARTITION])
    assert offsets.stable([TopicPartition("t", 1)])
    offsets.end(1, False)
    assert (offsets.committed[PARTITION], offsets.stable([PARTITION])) == (1, True)
    offsets.forget("u")
    offsets.end(2, True)
    assert offsets.committed == {PARTITION: 1}


def test_a_plain_commit_after_pending_offsets_counts() -> None:
    offsets = Offsets()
    offsets.add(1, {PARTITION: 5})
    offsets.commit({PARTITION: 9}, {})
    offsets.end(1, True)
    assert offsets.committed == {PARTITION: 9}


def test_a_group_without_members_knows_nobody(site: Site) -> None:
    ticket = site.transactions.begin("tx", 60)
    with pytest.raises(CommitError, match="not a member"):
        site.transactions.add_offsets(ticket, site.broker.group("g"), {PARTITION: 1}, GroupMember("g", 0, "somebody"))
    assert not site.transactions.has_open("tx")


# ---- a model: a list of records, each with the transaction it belongs to


class Model:
    """The same steps on a broker and on a list."""

    def __init__(self, compacted: bool) -> None:
        self.site = Site(cleanup_policy="compact,delete" if compacted else "delete")
        self.rows: list[tuple[int, str, int]] = []  # offset, key, transaction (0: none)
        self.ended: dict[int, bool] = {0: True}  # transaction → committed?
        self.open = [0, 0, 0]  # each producer's open transaction
        self.tickets = [self.site.transactions.begin(str(number), 1e6) for number in range(3)]
        self._numbers = itertools.count(1)

    def step(self, what: str, who: int, key: str) -> None:
        match what:
            case "plain":
                self.rows.append((self.site.put(key), key, 0))
            case "send":
                self.open[who] = self.open[who] or next(self._numbers)
                self.rows.append((self.site.put(key, ticket=self.tickets[who]), key, self.open[who]))
            case "commit" | "abort":
                self.site.transactions.end(self.tickets[who], what == "commit")
                self._end(who, what == "commit")
            case "fence":
                self.tickets[who] = self.site.transactions.begin(str(who), 1e6)
                self._end(who, False)
            case "delete":
                self.site.log.delete_before((self.site.log.begin + self.site.log.end) // 2)

    def _end(self, who: int, committed: bool) -> None:
        if self.open[who]:
            self.ended[self.open[who]], self.open[who] = committed, 0

    @property
    def stable_end(self) -> int:
        waiting = [offset for offset, _, number in self.rows if number not in self.ended]
        return max(min(waiting, default=self.site.log.end), self.site.log.begin)

    def shown(self, committed: bool) -> list[tuple[int, str]]:
        stop = self.stable_end if committed else self.site.log.end
        rows = [row for row in self.rows if self.site.log.begin <= row[0] < stop]
        return [(offset, key) for offset, key, number in rows if not committed or self.ended[number]]


STEP = st.tuples(
    st.sampled_from(["plain", "send", "send", "commit", "abort", "fence", "delete"]),
    st.integers(0, 2),
    st.sampled_from("abcd"),
)


@given(st.lists(STEP, max_size=30))
def test_readers_are_shown_what_a_list_of_transactions_says(steps: list[tuple[str, int, str]]) -> None:
    model = Model(compacted=False)
    for step in steps:
        model.step(*step)
        assert model.site.log.stable_end == model.stable_end
    for committed in (True, False):
        assert model.site.keys(committed) == [key for _, key in model.shown(committed)]


@given(st.lists(STEP, max_size=30), st.sets(st.integers(0, 29)))
def test_compaction_at_any_moment_keeps_the_last_committed_record_of_each_key(
    steps: list[tuple[str, int, str]], cleanings: set[int]
) -> None:
    model = Model(compacted=True)
    for number, step in enumerate(steps):
        model.step(*step)
        if number in cleanings:
            model.site.broker.clean()
        assert model.site.log.stable_end == model.stable_end
        assert set(model.site.keys()) == {key for _, key in model.shown(committed=True)}
    for who in range(3):
        model.step("commit", who, "")
    model.site.broker.clean()
    last = {key: offset for offset, key in model.shown(committed=True)}
    assert model.site.keys() == sorted(last, key=lambda key: last[key])
