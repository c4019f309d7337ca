"""A release compared with what former ones have left: on the embedded broker, taken for one that stays."""

from collections.abc import Callable
from typing import Any

import pytest

from streamz_actors import App, Record
from streamz_actors.errors import TopicMismatch
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.transport.abc import TopicSpec
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from streamz_actors.windows.definitions import Session, Tumbling, Window
from streamz_actors.worker.descriptions import read_descriptions
from streamz_actors.worker.findings import Finding, Severity
from streamz_actors.worker.inspection import inspect
from streamz_actors.worker.preparation import prepare
from streamz_actors.worker.survey import survey, with_settings

Declare = Callable[[App], object]


class Lasting(MemoryTransport):
    """A broker that outlives its workers."""

    embedded = False


@pytest.fixture
def kafka() -> Lasting:
    return Lasting()


def release(declare: Declare, app_id: str = "shop", **settings: Any) -> App:
    app = App(app_id, topic_partitions=4, **settings)
    declare(app)
    return app


async def start(kafka: Lasting, app: App) -> None:
    await prepare(kafka, app.spec(), 1)


async def check(kafka: Lasting, app: App, places: tuple[str, ...] = ()) -> list[Finding]:
    backend = MemoryBackend()
    for place in places:
        backend.open(place, {"totals": "x"}).close()
    spec = app.spec()
    return inspect(spec, await survey(kafka, backend, spec, with_settings(spec)))


def totals(name: str = "totals", codec: str | None = None, key: Any = str, value: Any = int) -> Declare:
    def declare(app: App) -> None:
        app.table(name, key_type=key, value_type=value, codec=codec)
        orders = app.topic("orders", key_type=str, value_type=int)

        @app.agent(orders)
        async def add(stream: Any) -> None:
            async for _ in stream:
                pass

    return declare


def counted(window: Window) -> Declare:
    def declare(app: App) -> None:
        stream = app.stream(app.topic("orders", key_type=str, value_type=int))
        stream.group_by_key().windowed_by(window).count(name="counts")

    return declare


def said(findings: list[Finding], severity: Severity) -> list[str]:
    return [f"{one.subject}: {one.message}" for one in findings if one.severity is severity]


async def test_nothing_is_said_of_a_release_that_goes_on_with_what_there_is(kafka: Lasting) -> None:
    await start(kafka, release(totals()))
    await start(kafka, release(totals()))
    assert await check(kafka, release(totals()), ("orders-0", "orders-3", "orders-1@1")) == []


async def test_before_the_first_start_topics_are_to_be_made(kafka: Lasting) -> None:
    (found,) = await check(kafka, release(totals()))
    assert found == Finding(Severity.NOTE, "topic orders", "it does not exist: a worker makes it, with 4 partitions")
    assert await kafka.admin.list_topics() == []


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (totals(), totals(codec="msgpack"), "values are kept in the codec 'json', and this release has 'msgpack'"),
        (totals(), totals(key=bytes), "keys are kept in the codec 'str', and this release has 'raw'"),
        (totals(value=float), totals(value=int), "its values are kept as float, which this release would read as int"),
        (totals(key=int), totals(key=float), "its keys are kept as int, which this release would read as float"),
        (counted(Tumbling(60)), counted(Tumbling(30)), "windows of 60000 ms, one every 60000 ms, and this release has"),
        (counted(Tumbling(60)), counted(Session(60)), "it is kept as windows of 60000 ms"),
        (counted(Session(60)), counted(Session(9_000)), "sessions, in segments of 60000 ms, and this release has"),
    ],
)
async def test_state_that_would_be_read_wrongly_is_incompatible_and_keeps_a_worker_from_starting(
    kafka: Lasting, before: Declare, after: Declare, says: str
) -> None:
    await start(kafka, release(before))
    found = await check(kafka, release(after))
    assert any(says in line for line in said(found, Severity.INCOMPATIBLE)), found
    with pytest.raises(TopicMismatch, match="`app check` shows all"):
        await start(kafka, release(after))
    await start(kafka, release(before))


async def test_what_was_written_down_of_a_topic_that_was_made_anew_means_nothing(kafka: Lasting) -> None:
    await start(kafka, release(totals()))
    await kafka.admin.delete(["shop-totals-changelog"])
    assert said(await check(kafka, release(totals(codec="msgpack"))), Severity.INCOMPATIBLE) == []
    await start(kafka, release(totals(codec="msgpack")))
    assert (await read_descriptions(kafka, "shop"))["shop-totals-changelog"].value_codec == "msgpack"


async def test_a_renamed_table_leaves_its_state_behind_and_its_new_name_is_guessed(kafka: Lasting) -> None:
    def other(app: App) -> None:
        totals("sums")(app)
        app.table("words", key_type=str, value_type=str)

    await start(kafka, release(totals()))
    found = said(await check(kafka, release(other)), Severity.ORPHANED)
    assert found == [
        "table totals: this release has no such table: its state stays in shop-totals-changelog; if 'sums' is its new "
        "name, that one begins empty: keep the old name"
    ]


async def test_topics_of_an_application_with_a_longer_name_are_not_this_ones(kafka: Lasting) -> None:
    await start(kafka, release(totals(), "shop-eu"))
    await kafka.admin.create([TopicSpec("shop-old-repartition", 1), TopicSpec("shop-news", 1)])
    await start(kafka, release(totals()))
    assert [one.subject for one in await check(kafka, release(totals()))] == ["topic shop-old-repartition"]


async def test_another_partition_count_is_incompatible(kafka: Lasting) -> None:
    await start(kafka, release(totals()))
    kafka.broker.add_partitions("orders", 8)
    (found,) = said(await check(kafka, release(totals())), Severity.INCOMPATIBLE)
    assert "'shop-totals-changelog' has 4 partitions, but its sub-topology has 8" in found


async def test_partitions_that_do_not_fit_together_are_incompatible(kafka: Lasting) -> None:
    def joined(app: App) -> None:
        left, right = (app.topic(name, key_type=str, value_type=int) for name in ("left", "right"))
        app.stream(left).join(app.table(right), lambda one, other: one)

    await kafka.admin.create([TopicSpec("left", 4), TopicSpec("right", 3)])
    (found,) = await check(kafka, release(joined))
    assert found.severity is Severity.INCOMPATIBLE
    assert "must have equal partition counts: left (4), right (3)" in found.message


async def test_an_internal_topic_that_deletes_what_it_is_to_keep_is_incompatible(kafka: Lasting) -> None:
    await kafka.admin.create([TopicSpec("shop-totals-changelog", 4, None, {"cleanup.policy": "delete"})])
    await start(kafka, release(totals()))
    (found,) = said(await check(kafka, release(totals())), Severity.INCOMPATIBLE)
    assert "shop-totals-changelog: it has cleanup.policy=delete, and would be made with compact" in found


async def test_a_changelog_that_former_releases_left_to_the_brokers_clock_is_noted(kafka: Lasting) -> None:
    former = {"cleanup.policy": "compact,delete", "retention.ms": "86460000"}
    await kafka.admin.create([TopicSpec("shop-counts-changelog", 4, None, former)])
    await start(kafka, release(counted(Tumbling(60))))
    (found,) = [one for one in await check(kafka, release(counted(Tumbling(60)))) if "retention.ms" in one.message]
    assert (found.severity, found.subject) == (Severity.NOTE, "topic shop-counts-changelog")
    assert found.message == (
        "it has retention.ms=86460000, and would be made with 9223372036854775807: the broker deletes by its own "
        "clock, so of events of long ago it keeps nothing; set it so"
    )


async def test_another_grace_changes_nothing_of_the_changelog(kafka: Lasting) -> None:
    await start(kafka, release(counted(Tumbling(60))))
    assert not await check(kafka, release(counted(Tumbling(60, grace=3_600))))


async def test_offsets_of_topics_that_are_not_read_any_more_and_topics_that_are_new(kafka: Lasting) -> None:
    await start(kafka, release(totals()))
    await kafka.admin.create([TopicSpec("former", 1)])
    await kafka.admin.set_committed("shop", {TopicPartition("former", 0): 7})
    orphan, fresh = await check(kafka, release(totals(), auto_offset_reset="latest"))
    assert (orphan.severity, orphan.subject) == (Severity.ORPHANED, "topic former")
    assert fresh == Finding(
        Severity.NOTE, "topic orders", "it has not been read so far: it begins at the latest record"
    )


async def test_state_of_tasks_that_there_are_no_more_is_left_behind(kafka: Lasting) -> None:
    await start(kafka, release(totals()))
    found = await check(kafka, release(totals()), ("orders-0", "former-1", "former-1@2"))
    assert [(one.severity, one.subject) for one in found] == [
        (Severity.ORPHANED, "task former-1"), (Severity.ORPHANED, "task former-1@2")
    ]


# -- types


class Before(Record):
    amount: int
    note: str = ""


class Wider(Record):
    amount: int
    note: str = ""
    currency: str = "EUR"


class Demanding(Record):
    amount: int
    currency: str


async def test_a_field_that_has_no_default_and_is_not_in_what_is_kept_is_incompatible(
    kafka: Lasting, caplog: pytest.LogCaptureFixture
) -> None:
    await start(kafka, release(totals(value=Before)))
    found = await check(kafka, release(totals(value=Demanding)))
    assert said(found, Severity.INCOMPATIBLE) == [
        "table totals: Demanding must have 'currency', which what is kept has not: give it a default"
    ]
    assert said(found, Severity.NOTE) == ["table totals: Demanding has no 'note' any more"]
    await start(kafka, release(totals(value=Demanding)))  # what is kept may all be gone before anybody reads it
    assert "table totals: Demanding must have 'currency'" in caplog.text


async def test_whole_numbers_may_become_others(kafka: Lasting) -> None:
    await start(kafka, release(totals(value=int)))
    found = await check(kafka, release(totals(value=float)))
    assert [(one.severity, one.message) for one in found] == [
        (Severity.NOTE, "its values were of type int, and are float now")
    ]
    await start(kafka, release(totals(value=float)))


async def test_a_field_with_a_default_is_but_another_type(kafka: Lasting) -> None:
    await start(kafka, release(totals(value=Before)))
    found = await check(kafka, release(totals(value=Wider)))
    assert [f"{one.subject}: {one.message}" for one in found] == [
        "table totals: its values were of type Before, and are Wider now"
    ]


async def test_what_another_release_wrote_down_and_cannot_be_read_is_left_out(
    kafka: Lasting, caplog: pytest.LogCaptureFixture
) -> None:
    await start(kafka, release(totals()))
    producer = kafka.producer("another release")
    await producer.start()
    await producer.send("shop-topology", 0, [b"a", b"b"], [b"\x00", None], [1, 1])
    assert set(await read_descriptions(kafka, "shop")) == {"shop-totals-changelog"}
    assert "cannot be read" in caplog.text
    await start(kafka, release(totals()))


async def test_a_broker_inside_the_process_keeps_no_descriptions() -> None:
    transport = MemoryTransport()
    await prepare(transport, release(totals()).spec(), 1)
    assert "shop-topology" not in {info.name for info in await transport.admin.list_topics()}
