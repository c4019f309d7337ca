"""One bad record, wherever it turns out to be bad: with a policy that goes on, its partition goes on."""

from collections.abc import Callable
from typing import Any

import pytest

from streamz_actors import App, DeadLetter, Fail, Hopping, JoinWindow, Late, Retry, Session, Skip, Sliding, Tumbling
from streamz_actors.errors import ConfigError, StreamzError, TopologyError
from streamz_actors.testing import TestDriver
from streamz_actors.types import TopicPartition
from tests.scenarios.support import committed, values

BAD = 13
Place = Callable[[App, Any, Any], None]
"""Declares what reads the first topic, fails on the value 13, and writes to the second."""


def picky(*given: Any) -> Any:
    """A user function: gives its last argument but one that is an integer, and raises for the bad one."""
    numbers = [each for each in given if isinstance(each, int)]
    if BAD in numbers:
        raise ValueError("thirteen")
    return numbers[-1]


async def slow(value: int) -> Any:
    return picky(value)


def added(key: str, value: int, total: int) -> int:
    picky(value)
    return total + value


def odd_pair(key: Any, value: int) -> Any:
    return 0 if value == BAD else (key, value)


def pieces(value: int) -> Any:
    yield value
    picky(value)


class Doubling:
    def init(self, context: Any) -> None:
        self.context = context

    def process(self, key: str, value: int) -> None:
        self.context.forward(key, value)
        picky(value)


def table_of(stream: Any, out: Any) -> None:
    stream.to_stream().map(lambda key, value: (str(key), value), key_type=str, value_type=int).to(out)


def joined_streams(app: App, topic: Any, out: Any) -> None:
    stream, window = app.stream(topic), JoinWindow(0, 0)
    stream.join(stream.map_values(abs, value_type=int), lambda one, other: picky(one), within=window).to(out)


def joined_tables(app: App, topic: Any, out: Any) -> None:
    table = app.stream(topic).to_table("kept")
    table.join(table.map_values(abs), lambda one, other: picky(one), name="joined").to_stream().to(out)


def joined_by_foreign_key(app: App, topic: Any, out: Any) -> None:
    table = app.stream(topic).to_table("kept")
    table.join(table, lambda one, other: picky(one), foreign_key=lambda key, value: key, name="j").to_stream().to(out)


def looked_up(app: App, topic: Any, out: Any) -> None:
    table = app.stream(topic).to_table("kept")
    app.stream(topic).join(table, lambda one, other: picky(one)).to(out)


def selected_foreign_key(app: App, topic: Any, out: Any) -> None:
    table = app.stream(topic).to_table("kept")
    chosen = table.join(table, lambda one, other: one, foreign_key=lambda key, value: str(picky(value)), name="j")
    chosen.to_stream().to(out)
    app.stream(topic).filter(lambda key, value: value != BAD).to(out)


def late(record: Late) -> None:
    picky(record.value)


PLACES: dict[str, Place] = {
    "map": lambda app, topic, out: app.stream(topic).map(lambda k, v: (k, picky(v)), value_type=int).to(out),
    "map, no pair": lambda app, topic, out: app.stream(topic).map(odd_pair).to(out),
    "map_values": lambda app, topic, out: app.stream(topic).map_values(picky).to(out),
    "map_values, awaited": lambda app, topic, out: app.stream(topic).map_values(slow).to(out),
    "map_async": lambda app, topic, out: app.stream(topic).map_async(slow).to(out),
    "flat_map": lambda app, topic, out: app.stream(topic).flat_map(lambda k, v: [(k, picky(v))]).to(out),
    "flat_map, no pair": lambda app, topic, out: app.stream(topic).flat_map(
        lambda k, v: [(k, v), odd_pair(k, v)]
    ).to(out),
    "flat_map_values": lambda app, topic, out: app.stream(topic).flat_map_values(pieces).to(out),
    "filter": lambda app, topic, out: app.stream(topic).filter(lambda k, v: picky(v)).to(out),
    "filter_not": lambda app, topic, out: app.stream(topic).filter_not(lambda k, v: not picky(v)).to(out),
    "select_key": lambda app, topic, out: app.stream(topic).select_key(lambda k, v: str(picky(v))).to(out),
    "peek": lambda app, topic, out: app.stream(topic).peek(picky).to(out),
    "split": lambda app, topic, out: app.stream(topic)
    .split()
    .branch(lambda k, v: picky(v) < 0, "negative")
    .default("rest")["rest"]
    .to(out),
    "process": lambda app, topic, out: app.stream(topic).process(Doubling, key_type=str, value_type=int).to(out),
    "group_by": lambda app, topic, out: table_of(
        app.stream(topic).group_by(lambda k, v: str(picky(v))).reduce(lambda one, two: two, "last"), out
    ),
    "reduce": lambda app, topic, out: table_of(
        app.stream(topic).group_by_key().reduce(lambda one, two: picky(two), "last"), out
    ),
    "aggregate": lambda app, topic, out: table_of(
        app.stream(topic).group_by_key().aggregate(int, lambda k, v, last: picky(v), "last"), out
    ),
    "tumbling": lambda app, topic, out: table_of(
        app.stream(topic).group_by_key().windowed_by(Tumbling(1)).aggregate(int, lambda k, v, last: picky(v), "w"), out
    ),
    "session": lambda app, topic, out: table_of(
        app.stream(topic)
        .group_by_key()
        .windowed_by(Session(1))
        .aggregate(int, lambda k, v, last: picky(v), "w", merger=lambda k, one, two: two)
        .filter(lambda k, v: v is not None, "there"),
        out,
    ),
    "table of a table's groups": lambda app, topic, out: table_of(
        app.stream(topic).to_table("t").group_by(lambda k, v: (k, v)).aggregate(
            int, lambda k, v, total: picky(v), lambda k, v, total: total, "grouped"
        ),
        out,
    ),
    "selector of a table's groups": lambda app, topic, out: table_of(
        app.stream(topic).to_table("t").group_by(lambda k, v: (k, picky(v))).reduce(
            lambda one, two: two, lambda one, two: one, "grouped"
        ),
        out,
    ),
    "table.map_values": lambda app, topic, out: table_of(
        app.stream(topic).to_table("t").map_values(picky, "seen"), out
    ),
    "table.filter": lambda app, topic, out: table_of(
        app.stream(topic).to_table("t").filter(lambda k, v: picky(v), "seen"), out
    ),
    "join of streams": joined_streams,
    "join with a table": looked_up,
    "join of tables": joined_tables,
    "join by foreign key": joined_by_foreign_key,
    "foreign key": selected_foreign_key,
    "written key": lambda app, topic, out: app.stream(topic)
    .map(lambda k, v: (object() if v == BAD else k, v), key_type=str, value_type=int)
    .to(out),
    "written value": lambda app, topic, out: app.stream(topic).map_values(
        lambda v: object() if v == BAD else v, value_type=int
    ).to(out),
    "written key of a group": lambda app, topic, out: table_of(
        app.stream(topic)
        .map(lambda k, v: (object() if v == BAD else k, v), key_type=str, value_type=int)
        .group_by_key()
        .reduce(lambda one, two: two, "last"),
        out,
    ),
    "stored value": lambda app, topic, out: table_of(
        app.stream(topic)
        .group_by_key()
        .aggregate(int, lambda k, v, last: object() if v == BAD else v, "last", value_type=int),
        out,
    ),
    "timestamp": lambda app, topic, out: app.stream(topic).to(out),
}


def declared(name: str, place: str, on_error: Any) -> App:
    app = App(name, on_error=on_error)
    timestamp = (lambda value: picky(value) * 1_000) if place == "timestamp" else None
    topic = app.topic("in", key_type=str, value_type=int, partitions=1, timestamp=timestamp)
    out = app.topic("out", key_type=str, value_type=int, partitions=1)
    PLACES[place](app, topic, out)
    return app


async def feed(driver: TestDriver, place: str = "") -> None:
    """In one run, so that the bad record has neighbours; a second to each, and two to a key. What goes by way of topics
    finds only the newest value of a table: there one by one.
    """
    for number, value in enumerate((1, 2, BAD, 3, 4)):
        driver.running.collector.send("in", b"k%d" % (number % 2), str(value).encode(), number * 1_000)
        if "foreign" in place:
            await driver.settle()
    await driver.settle()


@pytest.mark.parametrize("policy", [Skip(), DeadLetter()], ids=["skip", "dead letter"])
@pytest.mark.parametrize("place", list(PLACES))
async def test_the_others_of_its_partition_go_on(place: str, policy: Any) -> None:
    app = declared("pills", place, policy)
    async with TestDriver(app) as driver:
        await feed(driver, place)
        assert {value for value in values(driver, "out") if value is not None} == {1, 2, 3, 4}
        await driver.running.worker.commit()
        assert committed(driver, app, "in") == 5
        assert driver.failures
        assert {failure.offset for failure in driver.failures if failure.topic == "in"} <= {2}
        letters = driver.read("pills-dead-letters") if isinstance(policy, DeadLetter) else []
        assert len(letters) == len(driver.dead_letters) == (len(driver.failures) if letters else 0)
        for letter in letters:
            headers = dict(letter.headers)
            assert headers["streamz-error"]
            assert headers["streamz-attempts"] == b"1"
            assert headers["streamz-what"]


@pytest.mark.parametrize("place", list(PLACES))
async def test_without_a_policy_the_worker_stops_there(place: str) -> None:
    app = declared("stops", place, None)
    driver = TestDriver(app)
    await driver.start()
    with pytest.raises(StreamzError, match=r"thirteen|13|object|pair|int") as caught:
        await feed(driver, place)
    if "'in'" in str(caught.value):  # else the record itself is done, and what came of it is not
        assert (committed(driver, app, "in") or 0) <= 2


@pytest.mark.parametrize(
    "windows", [Tumbling(10), Hopping(10, 5), Sliding(10), Session(10)], ids=lambda window: type(window).__name__
)
async def test_a_record_that_fails_counts_for_nothing_in_windows(windows: Any) -> None:
    app = App("counts")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    grouped = app.stream(topic).on_error(Skip()).group_by_key().windowed_by(windows)
    options: dict[str, Any] = {"merger": lambda k, one, two: one + two} if isinstance(windows, Session) else {}
    grouped.aggregate(int, added, "sums", **options)
    async with TestDriver(app) as driver:
        for number, value in enumerate((1, 2, BAD, 4)):
            driver.running.collector.send("in", b"k", str(value).encode(), 20_000 + number * 100)
        await driver.settle()
        assert {row.value for row in driver.table("sums").windows("k")} <= {7, 3, 1, 4, 6, 2}
        assert max(row.value for row in driver.table("sums").windows("k")) == 7
        assert [failure.what for failure in driver.failures] == ["aggregate 'sums'"]


async def test_a_half_done_change_of_an_aggregate_in_place_is_not_kept() -> None:
    app = App("inplace", on_error=Skip())
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)

    def gather(key: str, value: int, seen: list[int]) -> list[int]:
        seen.append(value)
        picky(value)
        return seen

    app.stream(topic).group_by_key().aggregate(list, gather, "seen", value_type=list[int])
    async with TestDriver(app) as driver:
        for value in (1, BAD, 2):
            await driver.send("in", key="a", value=value)
        assert driver.table("seen")["a"] == [1, 2]


async def test_what_is_said_for_a_stream_holds_through_its_repartition_topics_and_no_further() -> None:
    app = App("scoped")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    stream = app.stream(topic)
    total = stream.on_error(DeadLetter()).group_by(lambda k, v: "all")
    lenient = total.reduce(lambda one, two: one + picky(two), "sum")
    strict = stream.on_error(Skip()).map_values(lambda value: value).on_error(Fail()).map_values(picky)
    assert lenient is not None
    strict.foreach(lambda key, value: None)
    driver = TestDriver(app)
    await driver.start()
    await driver.send("in", key="a", value=1)
    with pytest.raises(StreamzError, match=r"map_values.*thirteen"):
        await driver.send("in", key="a", value=BAD)
    app = App("scoped2")
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    app.stream(topic).on_error(DeadLetter()).group_by(lambda k, v: "all").reduce(
        lambda one, two: one + picky(two), "sum"
    )
    async with TestDriver(app) as driver:
        for value in (1, BAD, 2):
            await driver.send("in", key="a", value=value)
        assert dict(driver.table("sum")) == {"all": 3}
        (letter,) = driver.dead_letters
        assert letter.topic == "scoped2-sum-repartition"


async def test_each_row_is_handed_to_peek_once() -> None:
    app = App("once", on_error=Skip())
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    seen: list[int] = []

    def look(key: str, value: int) -> None:
        seen.append(value)
        picky(value)

    app.stream(topic).peek(look).foreach(lambda key, value: None)
    async with TestDriver(app) as driver:
        await feed(driver)
        assert seen == [1, 2, BAD, 3, 4]


async def test_a_function_that_fails_on_what_is_late_is_given_up_with_the_record() -> None:
    app = App("late", on_error=Skip())
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    app.stream(topic).group_by_key().windowed_by(Tumbling(1)).count("counts", on_late=late)
    async with TestDriver(app) as driver:
        for value, time in ((1, 100_000), (BAD, 0), (2, 100_000)):
            await driver.send("in", key="a", value=value, timestamp=time)
        assert [row.value for row in driver.table("counts").windows("a")] == [2]
        assert [failure.what for failure in driver.failures] == ["on_late of count 'counts'"]


@pytest.mark.parametrize("side", ["key", "value"])
async def test_bytes_that_cannot_be_read_go_the_applications_way(side: str) -> None:
    app = App("bytes", on_error=DeadLetter())
    topic = app.topic("in", key_type=int, value_type=int, partitions=1)
    out = app.topic("out", key_type=int, value_type=int, partitions=1)
    app.stream(topic).map(lambda key, value: (key, value), key_type=int, value_type=int).to(out)
    async with TestDriver(app) as driver:
        bad = (b"x", b"1") if side == "key" else (b"1", b"x")
        log = driver.broker.log(TopicPartition("in", 0))
        log.append([b"1", bad[0], b"2"], [b"1", bad[1], b"2"], [0] * 3, [(("mine", b"m"),)] * 3, 0)
        await driver.settle()
        assert values(driver, "out") == [1, 2]
        (letter,) = driver.read("bytes-dead-letters")
        assert (letter.key, letter.value) == bad
        headers = dict(letter.headers)
        assert (headers["mine"], headers["streamz-what"], headers["streamz-offset"]) == (b"m", b"decoding", b"1")


async def test_a_handler_goes_the_applications_way_and_its_own_word_counts_more() -> None:
    app = App("handlers", on_error=Retry(1, backoff=1.0, then=DeadLetter()))
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    tries: list[str] = []

    @app.agent(topic)
    async def patient(stream: Any) -> None:
        async for value in stream:
            tries.append("patient")
            picky(value)

    @app.agent(topic, on_error=Skip())
    async def hasty(stream: Any) -> None:
        async for value in stream:
            tries.append("hasty")
            picky(value)

    async with TestDriver(app) as driver:
        await driver.send("in", key="a", value=BAD)
        await driver.advance(1.0)
        assert sorted(tries) == ["hasty", "patient", "patient"]
        assert [failure.what for failure in driver.dead_letters] == ["agent 'patient'"]


@pytest.mark.parametrize("name", ["skip", "dead_letter", "fail"])
async def test_settings_name_a_policy_and_count_more_than_the_code(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMZ_ON_ERROR", name)
    app = App("named", on_error=DeadLetter())
    topic = app.topic("in", key_type=str, value_type=int, partitions=1)
    app.stream(topic).foreach(picky)
    driver = TestDriver(app)
    await driver.start()
    if name == "fail":
        with pytest.raises(StreamzError, match="thirteen"):
            await driver.send("in", key="a", value=BAD)
        return
    await driver.send("in", key="a", value=BAD)
    assert len(driver.dead_letters) == (name == "dead_letter")
    await driver.stop()


def test_a_retry_where_nothing_can_be_tried_again_is_refused_with_what_to_do_instead() -> None:
    app = App("retries")
    topic = app.topic("in", key_type=str, value_type=int)
    policy: Any = Retry(2)
    with pytest.raises(TopologyError, match=r"on_error of stream.*map_async\(\.\.\., retry=\) or an agent"):
        app.stream(topic).on_error(policy)
    with pytest.raises(TopologyError, match=r"on_decode_error: Retry.* the bytes stay what they are"):
        app.topic("other", on_decode_error=policy)
    with pytest.raises(TopologyError, match="takes Fail"):
        app.stream(topic).on_error(3)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="after the last attempt"):
        Retry(2, then=policy)
    with pytest.raises(ConfigError, match="on_error"):
        App("unknown", on_error="sometimes")
