"""Dead letters and lost records on a real Kafka: letters go back once, under both guarantees; what is gone is told."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from streamz_actors import App, DeadLetter
from streamz_actors.cli.letters import Choice, chosen, replayed_topic, topics_of
from streamz_actors.cli.replaying import Replay
from streamz_actors.errors import OffsetOutOfRange
from streamz_actors.transport.abc import Transport
from streamz_actors.types import TopicPartition
from tests.integration.kafka_contents import contents

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

Make = Callable[..., App]


@pytest.fixture
def copying(kafka_url: str) -> Make:
    """Makes applications of one name that copy a topic, and refuse some values."""
    name = f"failing-{uuid.uuid4().hex[:8]}"

    def make(refused: set[int], **settings: Any) -> App:
        app = App(name, broker=kafka_url, store="memory://", web_enabled=False, on_error=DeadLetter(), **settings)
        topic = app.topic(f"{name}-in", key_type=str, value_type=int, partitions=1)

        def checked(value: int) -> int:
            if value in refused:
                raise ValueError(f"no {value}")
            return value

        out = app.topic(f"{name}-out", key_type=str, value_type=int, partitions=1)
        app.stream(topic).map_values(checked, value_type=int).to(out)
        return app

    return make


async def work(app: App, *values: int) -> None:
    """Sends values, and lets the application work until all that there is is done: a run to the end of its topics."""
    async with app.running():
        for value in values:
            await app.topics[0].send(key="k", value=value, timestamp=1_700_000_000_000 + value)
    await app.run(bounded=True)


async def copied(kafka: Transport, app: App) -> list[int]:
    return [value for _, value in await contents(kafka, f"{app.id}-out")]


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
async def test_dead_letters_go_back_once(kafka: Transport, copying: Make, guarantee: str) -> None:
    app = copying({2, 4}, processing_guarantee=guarantee)
    await work(app, 1, 2, 3, 4)
    assert await copied(kafka, app) == [1, 3]
    spec = app.spec()
    letters = [letter async for letter in chosen(kafka, topics_of(spec), Choice())]
    assert [letter.value for letter in letters] == [b"2", b"4"]
    assert letters[0].why.error == "ValueError: no 2"
    for again in range(2):
        back = Replay(kafka, f"{app.id}-dlq-replay", replayed_topic(spec))
        outcome = await back.run(chosen(kafka, topics_of(spec), Choice()))
        assert len(outcome.sent) == (0 if again else 2)
    await work(copying({4}, processing_guarantee=guarantee))
    assert await copied(kafka, app) == [1, 3, 2]
    *_, last = [letter async for letter in chosen(kafka, topics_of(spec), Choice())]
    assert (last.value, last.why.attempts, last.timestamp) == (b"4", 2, letters[1].timestamp)


async def test_records_that_are_gone_stop_the_worker_unless_it_may_skip_them(kafka: Transport, copying: Make) -> None:
    app = copying(set())
    await work(app, 1)
    place = TopicPartition(f"{app.id}-in", 0)
    producer = kafka.producer("late")
    await producer.start()
    await producer.send(*place, [b'"k"'] * 4, [b"2", b"3", b"4", b"5"], [1_700_000_000_000] * 4)
    await producer.stop()
    await kafka.admin.delete_records({place: 3})
    with pytest.raises(OffsetOutOfRange, match="2 records are gone that were not read, offset 1 to 2"):
        await app.run(bounded=True)
    lenient = copying(set(), on_offset_out_of_range="earliest").worker(bounded=True)
    await lenient.run()
    assert lenient.worker.lost.skipped == {place: 2}
    assert await copied(kafka, app) == [1, 4, 5]
