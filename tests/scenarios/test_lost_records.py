"""The broker no longer has the records that come next: what happens is said by a setting, and never in silence."""

import pytest

from streamz_actors import App
from streamz_actors.errors import OffsetOutOfRange
from streamz_actors.testing import TestDriver
from streamz_actors.types import TopicPartition
from tests.scenarios.support import committed, values

PLACE = TopicPartition("in", 0)


def copying(policy: str) -> App:
    app = App("lost", on_offset_out_of_range=policy)
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    app.stream(topic).to(out)
    return app


async def behind(policy: str) -> tuple[TestDriver, App]:
    """A driver that was stopped at offset 2, of whose topic offsets 2 to 4 are gone since, and 5 and 6 are there."""
    app = copying(policy)
    driver = TestDriver(app)
    await driver.start()
    for value in range(2):
        await driver.send("in", key="a", value=value)
    await driver.stop()
    assert values(driver, "out") == [0, 1]
    log = driver.broker.log(PLACE)
    log.append([b"a"] * 5, [b"%d" % value for value in range(2, 7)], [0] * 5, None, 0)
    log.delete_before(5)
    return driver, app


async def test_by_default_the_worker_stops_and_says_what_is_missing() -> None:
    driver, app = await behind("fail")
    said = "topic 'in', partition 0: 3 records are gone that were not read, offset 2 to 4.*on_offset_out_of_range"
    with pytest.raises(OffsetOutOfRange, match=said):
        await driver.start()
    assert committed(driver, app, "in") == 2


@pytest.mark.parametrize(("policy", "read", "skipped"), [("earliest", [5, 6], 3), ("latest", [], 5)])
async def test_or_it_goes_on_and_counts_them(
    policy: str, read: list[int], skipped: int, caplog: pytest.LogCaptureFixture
) -> None:
    driver, app = await behind(policy)
    await driver.start()
    await driver.settle()
    assert values(driver, "out") == read
    assert driver.running.worker.lost.skipped == {PLACE: skipped}
    assert "3 records are gone that were not read, offset 2 to 4; going on at offset" in caplog.text
    await driver.send("in", key="a", value=7)
    assert values(driver, "out") == [7]
    await driver.stop()
    assert committed(driver, app, "in") == 8
    await driver.start()
    await driver.settle()
    assert values(driver, "out") == []
    await driver.stop()


async def test_what_is_skipped_is_committed_even_if_nothing_comes_after_it() -> None:
    driver, app = await behind("latest")
    await driver.start()
    await driver.settle()
    await driver.stop()
    assert committed(driver, app, "in") == 7


async def test_a_topic_that_was_made_anew_is_told_from_one_that_lost_records() -> None:
    app = copying("fail")
    driver = TestDriver(app)
    await driver.start()
    await driver.send("in", key="a", value=1)
    await driver.stop()
    await set_committed(driver, 9)
    with pytest.raises(OffsetOutOfRange, match="the next record is at offset 9, but the log ends at 1"):
        await driver.start()


async def set_committed(driver: TestDriver, offset: int) -> None:
    transport = driver.running.worker.transport
    await transport.start()
    await transport.admin.set_committed("lost", {PLACE: offset})
