"""Dead letters are found again, and go back to where their records came from: once, with their attempts."""

from typing import Any

import pytest

from streamz_actors import App, DeadLetter, Retry
from streamz_actors.cli.letters import Choice, Letter, chosen, replayed, replayed_topic, topics_of
from streamz_actors.cli.replaying import Outcome, Replay
from streamz_actors.dataflow import dead_letters
from streamz_actors.errors import CommitError
from streamz_actors.testing import TestDriver
from streamz_actors.transport.memory.producer import MemoryTransactionalProducer
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from tests.scenarios.support import values


class Shop:
    """An application that refuses some values, for as long as it is told to."""

    def __init__(self, **options: Any) -> None:
        self.app = app = App("shop", on_error=options.pop("on_error", DeadLetter()))
        self.refused = {2, 4}
        topic = app.topic("in", key_type=str, value_type=int, partitions=2)
        self.out = app.topic("out", key_type=str, value_type=int, partitions=1)
        app.stream(topic).map_values(self.checked).to(self.out)
        self.driver = TestDriver(app)

    def checked(self, value: int) -> int:
        if value in self.refused:
            raise ValueError(f"no {value}")
        return value

    @property
    def spec(self) -> Any:
        return self.app.spec()

    async def feed(self) -> None:
        for value in range(1, 6):
            await self.driver.send("in", key=f"k{value}", value=value, timestamp=value * 1_000, headers={"mine": b"m"})

    async def letters(self, **choice: Any) -> list[Letter]:
        transport = MemoryTransport(self.driver.broker)
        return [letter async for letter in chosen(transport, topics_of(self.spec), Choice(**choice))]

    def replay(self, **options: Any) -> Replay:
        transport = MemoryTransport(self.driver.broker)
        return Replay(transport, "shop-dlq-replay", replayed_topic(self.spec), **options)

    async def back(self, choice: Choice = Choice(), **options: Any) -> Outcome:  # noqa: B008 - it is a value
        back = self.replay(**options)
        outcome = await back.run(chosen(back.transport, topics_of(self.spec), choice))
        await self.driver.settle()
        return outcome


async def test_what_goes_back_is_the_record_as_it_was_with_its_attempts_and_its_letter_is_remembered() -> None:
    shop = Shop()
    async with shop.driver as driver:
        await shop.feed()
        first, second = await shop.letters()
        assert (first.value, first.why.error, first.why.attempts) == (b"2", "ValueError: no 2", 1)
        assert first.own_headers == (("mine", b"m"),)
        assert values(driver, "out") == [1, 3, 5]
        shop.refused = {4}
        outcome = await shop.back()
        assert set(outcome.sent) == {first.id, second.id}
        (record,) = driver.read("out")
        assert (record.key, record.value, record.timestamp) == ("k2", 2, 2_000)
        assert dict(record.headers) == {"mine": b"m", "streamz-attempts": b"1"}
        *_, again = await shop.letters()
        assert (again.value, again.why.attempts, again.own_headers) == (b"4", 2, (("mine", b"m"),))
        assert again.why.place == second.why.place
        assert await replayed(MemoryTransport(driver.broker), replayed_topic(shop.spec)) == {first.id, second.id}


async def test_what_was_replayed_is_not_replayed_again_unless_that_is_asked_for() -> None:
    shop = Shop()
    async with shop.driver as driver:
        await shop.feed()
        shop.refused = set()
        first, second = await shop.letters()
        one = await shop.back(Choice(ids=frozenset({first.id})))
        assert list(one.sent) == [first.id]
        rest = await shop.back()
        assert (list(rest.sent), rest.before) == ([second.id], [first.id])
        none = await shop.back()
        assert (none.sent, len(none.before)) == ({}, 2)
        assert values(driver, "out") == [1, 3, 5, 2, 4]
        again = await shop.back(Choice(ids=frozenset({first.id})), again=True)
        assert list(again.sent) == [first.id]
        assert values(driver, "out") == [2]


async def test_a_dry_run_sends_nothing_and_remembers_nothing() -> None:
    shop = Shop()
    async with shop.driver as driver:
        await shop.feed()
        driver.read("out")
        back = shop.replay()
        outcome = await back.plan(chosen(back.transport, topics_of(shop.spec), Choice()))
        assert len(outcome.sent) == 2
        await driver.settle()
        assert values(driver, "out") == []
        assert len(await shop.letters()) == 2
        assert not await replayed(back.transport, replayed_topic(shop.spec))


async def test_letters_are_chosen_by_what_they_say() -> None:
    shop = Shop()
    async with shop.driver:
        await shop.feed()
        first, second = await shop.letters()
        assert await shop.letters(text="no 4") == [second]
        assert await shop.letters(what="map_values") == [first, second]
        assert await shop.letters(what="agent") == []
        assert await shop.letters(topic="in") == [first, second]
        assert await shop.letters(topic="out") == []
        assert await shop.letters(limit=1) == [first]
        assert await shop.letters(ids=frozenset({second.id})) == [second]


async def test_they_may_go_elsewhere_and_get_the_present_time() -> None:
    shop = Shop()
    async with shop.driver as driver:
        await shop.feed()
        driver.read("out")
        await shop.back(to="out", now=99_000)
        assert [(record.value, record.timestamp) for record in driver.read("out")] == [(2, 99_000), (4, 99_000)]


async def test_of_a_derived_record_the_one_that_it_was_made_of_goes_back() -> None:
    app = App("derived", on_error=DeadLetter())
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=str, partitions=1)
    refused = {"20"}

    def checked(value: str) -> str:
        if value in refused:
            raise ValueError("no")
        return value

    app.stream(topic).map_values(lambda value: str(value * 10), value_type=str).map_values(checked).to(out)
    driver = TestDriver(app)
    spec = app.spec()
    async with driver:
        for value in (1, 2):
            await driver.send("in", key="a", value=value, timestamp=value)
        transport = MemoryTransport(driver.broker)
        (letter,) = [each async for each in chosen(transport, topics_of(spec), Choice())]
        assert (letter.value, letter.why.derived) == (b'"20"', True)
        refused.clear()
        back = Replay(transport, "replay", replayed_topic(spec))
        await back.run(chosen(transport, topics_of(spec), Choice()))
        await driver.settle()
        assert values(driver, "out") == ["10", "20"]
        driver.broker.log(TopicPartition("in", 0)).delete_before(2)
        gone = Replay(transport, "replay", replayed_topic(spec), again=True)
        outcome = await gone.run(chosen(transport, topics_of(spec), Choice()))
        assert outcome.sent == {}
        assert "is no longer in its topic" in outcome.failed[letter.id]


async def test_a_letter_whose_topic_or_partition_is_gone_says_so() -> None:
    shop = Shop()
    async with shop.driver:
        await shop.feed()
        outcome = await shop.back(to="nowhere")
        assert set(outcome.failed.values()) == {"topic 'nowhere' does not exist"}


async def test_a_replay_whose_end_is_unknown_is_finished_by_the_next_and_nothing_goes_back_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop = Shop()
    async with shop.driver as driver:
        await shop.feed()
        driver.read("out")
        shop.refused = set()
        real = MemoryTransactionalProducer.commit

        async def lost(self: Any, *given: Any) -> None:
            await real(self, *given)
            raise CommitError("the answer was lost")

        with monkeypatch.context() as patch:
            patch.setattr(MemoryTransactionalProducer, "commit", lost)
            with pytest.raises(CommitError):
                await shop.back()
        await driver.settle()
        outcome = await shop.back()
        assert (len(outcome.sent), len(outcome.before)) == (0, 2)
        assert sorted(values(driver, "out")) == [2, 4]


async def test_a_replay_that_dies_before_its_end_has_sent_nothing() -> None:
    shop = Shop()
    async with shop.driver as driver:
        await shop.feed()
        driver.read("out")
        shop.refused = set()
        back = shop.replay()
        dying = back.transport.transactional_producer(back.name, back.name)
        await dying.start()
        await dying.send("in", 0, [b"k"], [b"7"], [0])
        outcome = await shop.back()
        assert len(outcome.sent) == 2
        with pytest.raises(CommitError):
            await dying.commit({}, driver.running.worker.members.consumer.member)  # type: ignore[union-attr]


async def test_the_topics_of_policies_are_looked_through_as_well() -> None:
    app = App("several", on_error=DeadLetter())
    mine = app.topic("mine", key_type=str, value_type=int, partitions=1)
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)

    @app.agent(topic, on_error=Retry(1, backoff=0.0, then=DeadLetter(mine)))
    async def fail(stream: Any) -> None:
        async for _ in stream:
            raise ValueError("no")

    app.stream(topic).foreach(lambda key, value: int("x"))
    assert topics_of(app.spec()) == ["several-dead-letters", "mine"]
    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=1)
        await driver.advance(1)
        transport = MemoryTransport(driver.broker)
        found = [letter async for letter in chosen(transport, topics_of(app.spec()), Choice())]
        assert {letter.place.topic for letter in found} == {"several-dead-letters", "mine"}
        assert {letter.why.what for letter in found} == {"foreach 'in-foreach'", "agent 'fail'"}


def test_records_that_are_no_dead_letters_are_told_from_those_that_are() -> None:
    assert dead_letters.read(()) is None
    assert dead_letters.read((("streamz-topic", b"in"), ("streamz-partition", b"x"))) is None
    assert dead_letters.attempts_in((("streamz-attempts", b"many"),)) == 0
