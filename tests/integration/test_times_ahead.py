"""Event time may be far ahead of the broker's clock: state and repartition topics take any time."""

import uuid

import pytest

from streamz_actors import App, Tumbling

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(120)]

AHEAD = 4_102_444_800_000
"""The year 2100, in ms: brokers refuse what is more than an hour ahead of them, unless the topic says otherwise."""


@pytest.mark.parametrize("guarantee", ["at_least_once", "exactly_once"])
async def test_times_of_the_future_are_counted_in_their_windows(kafka_url: str, guarantee: str) -> None:
    name = f"ahead-{uuid.uuid4().hex[:8]}"
    app = App(name, broker=kafka_url, store="memory://", web_enabled=False, processing_guarantee=guarantee)
    plans = app.topic(f"{name}-plans", key_type=str, value_type=int, partitions=1, timestamp=AHEAD.__add__)
    grouped = app.stream(plans).group_by(lambda _, value: "all", key_type=str).windowed_by(Tumbling(60))
    grouped.count("planned")
    async with app.running():
        for value in (1, 2, 59_000):
            await plans.send(key="k", value=value)
    await app.run(bounded=True)
    async with app.running() as running:
        windows = await running.windows("planned", "all", None, None)
    assert [(window.start, window.value) for window in windows] == [(AHEAD, 3)]
