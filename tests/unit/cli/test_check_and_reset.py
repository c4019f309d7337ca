"""`app check` and `app reset`, on an embedded broker that they take for a Kafka."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.cli import check, connect, reset
from streamz_actors.config import Settings
from streamz_actors.errors import StoreLocked
from streamz_actors.stores.rocksdb import RocksBackend
from streamz_actors.transport.abc import Admin, GroupSettings, TopicSpec, Transport
from streamz_actors.transport.memory.broker import MemoryBroker
from streamz_actors.transport.memory.transport import MemoryTransport
from streamz_actors.types import TopicPartition
from streamz_actors.worker.preparation import prepare
from tests.contracts.transport_members import SpreadAssignor
from tests.unit.cli.conftest import CommandLine

MINE = ("shop-by-amount-repartition", "shop-counts-changelog", "shop-topology", "shop-totals-changelog")


class Lasting(MemoryTransport):
    embedded = False


@pytest.fixture
def broker(folder: Path, monkeypatch: pytest.MonkeyPatch) -> MemoryBroker:
    """With the topics of a release that has been started once, and positions and local state of it."""
    made = MemoryBroker()

    def connected(settings: Settings) -> Transport:
        return Lasting(made)

    for module in (connect, check, reset):
        monkeypatch.setattr(module, "connected", connected)
    asyncio.run(_begun(made))
    backend = RocksBackend(folder / ".streamz" / "shop")
    backend.open("orders-0", {"totals": "x"}).close()
    backend.close()
    return made


async def _begun(broker: MemoryBroker) -> None:
    transport = Lasting(broker)
    await transport.admin.create([TopicSpec("shop-replies-a", 1), TopicSpec("shop-lookalike-changelog", 1)])
    await prepare(transport, shop().spec(), 1)
    producer = transport.producer("test")
    await producer.start()
    await producer.send("orders", 0, [b"k"] * 3, [b"1"] * 3, [1_000, 2_000, 3_000])
    await producer.stop()
    await transport.admin.set_committed("shop", {TopicPartition("orders", 0): 2, TopicPartition("former", 0): 1})


def shop(**settings: Any) -> App:
    app = App("shop", broker="kafka://nowhere:1", topic_partitions=2, **settings)
    orders = app.topic("orders", key_type=str, value_type=int)
    app.table("totals", key_type=str, value_type=int)
    app.stream(orders).group_by(lambda _, amount: amount, key_type=int, name="by-amount").count(name="counts")

    @app.agent(orders)
    async def add(stream: Any) -> None:
        async for _ in stream:
            pass

    return app


def ask(broker: MemoryBroker, question: Callable[[Admin], Awaitable[Any]]) -> Any:
    async def asked() -> Any:
        return await question(Lasting(broker).admin)

    return asyncio.run(asked())


def committed(broker: MemoryBroker) -> dict[TopicPartition, int]:
    found: dict[TopicPartition, int] = ask(broker, lambda admin: admin.all_committed("shop"))
    return found


# -- check


def test_check_lists_what_it_finds_the_worst_first(command_line: CommandLine, broker: MemoryBroker) -> None:
    def changed() -> App:
        app = App("shop", broker="kafka://nowhere:1", topic_partitions=2)
        app.table("totals", key_type=str, value_type=int, codec="msgpack")

        @app.agent(app.topic("orders", key_type=str, value_type=int))
        async def add(stream: Any) -> None:
            async for _ in stream:
                pass

        return app

    result = command_line("check", "--json", application=changed())
    rows = json.loads(result.out)
    assert (result.code, result.err) == (1, "")
    assert [(row["severity"], row["subject"]) for row in rows] == [
        ("incompatible", "table totals"),
        ("orphaned", "topic shop-by-amount-repartition"),
        ("orphaned", "table counts"),
        ("orphaned", "topic shop-lookalike-changelog"),
        ("orphaned", "topic former"),
    ]
    text = command_line("check", application=changed())
    assert text.out.splitlines()[0].startswith("incompatible\ttable totals\tits values are kept in the codec 'json'")
    before = set(broker.topics)
    assert command_line("check", application=shop()).code == 0
    assert set(broker.topics) == before


def test_check_says_when_there_is_nothing_to_say(
    command_line: CommandLine, broker: MemoryBroker, folder: Path
) -> None:
    broker.delete_topic("shop-lookalike-changelog")
    broker.groups.clear()
    assert command_line("check", application=shop()).out == "nothing stands in the way of this release\n"
    assert command_line("check", "--json", application=shop()).out == "[]\n"


@pytest.mark.parametrize("command", ["check", "reset"])
def test_a_broker_inside_a_worker_has_nothing_to_look_at(command_line: CommandLine, command: str) -> None:
    result = command_line(command, application=App("shop"))
    assert (result.code, f"app {command}: broker 'memory://' (default) is embedded" in result.err) == (2, True)


# -- reset


def test_a_dry_run_says_everything_and_does_nothing(command_line: CommandLine, broker: MemoryBroker) -> None:
    topics, offsets = set(broker.topics), committed(broker)
    result = command_line("reset", "--dry-run", application=shop())
    assert (result.code, result.err) == (0, "")
    assert result.out.splitlines() == [
        "remove the state of task orders-0 on this machine",
        *(f"delete topic {name}" for name in sorted({*MINE, "shop-replies-a"})),
        "forget the committed offsets of group shop",
        "begin topic orders at 0 (partition 0), 0 (partition 1)",
    ]
    assert (set(broker.topics), committed(broker)) == (topics, offsets)


def test_a_reset_does_what_it_says(command_line: CommandLine, broker: MemoryBroker, folder: Path) -> None:
    result = command_line("reset", "--yes", application=shop())
    assert (result.code, result.err) == (0, "done\n")
    assert set(broker.topics) == {"orders", "shop-lookalike-changelog"}
    assert committed(broker) == {TopicPartition("orders", 0): 0, TopicPartition("orders", 1): 0}
    assert RocksBackend(folder / ".streamz" / "shop").places() == []
    again = command_line("reset", "--yes", "--only", "topics", application=shop())
    assert (again.code, again.out, again.err) == (0, "there is nothing to reset\n", "")


@pytest.mark.parametrize(
    ("to", "begin"), [("latest", [3, 0]), ("1970-01-01T00:00:02", [1, 0]), ("1970-01-01T01:00:03+01:00", [2, 0])]
)
def test_offsets_alone_go_where_they_are_wanted(
    command_line: CommandLine, broker: MemoryBroker, to: str, begin: list[int]
) -> None:
    topics = set(broker.topics)
    result = command_line("reset", "--yes", "--only", "offsets", "--to", to, application=shop())
    assert result.code == 0, result.err
    assert committed(broker) == {TopicPartition("orders", number): at for number, at in enumerate(begin)}
    assert set(broker.topics) == topics


def test_offsets_of_one_topic_leave_the_others_alone(command_line: CommandLine, broker: MemoryBroker) -> None:
    result = command_line("reset", "--yes", "--only", "offsets", "--input-topic", "orders", application=shop())
    assert result.code == 0, result.err
    assert committed(broker)[TopicPartition("former", 0)] == 1
    assert committed(broker)[TopicPartition("orders", 0)] == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--input-topic", "ordres"), "'shop' does not read 'ordres'; topics that it reads: orders"),
        (("--to", "yesterday"), "'yesterday' is not earliest, latest or a time such as 2026-01-31T12:00"),
        (("--only", "everything"), "'everything' is not one of 'state', 'topics', 'offsets'"),
        ((), "nobody can be asked here: say --yes, or --dry-run"),
    ],
)
def test_a_wrong_call_is_one_line(
    command_line: CommandLine, broker: MemoryBroker, arguments: tuple[str, ...], says: str
) -> None:
    result = command_line("reset", *arguments, application=shop())
    assert (result.code, says in result.err.splitlines()[-1]) == (2, True), result.err
    assert committed(broker)[TopicPartition("orders", 0)] == 2


def test_who_is_asked_may_say_no(
    command_line: CommandLine, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda text: "n")
    result = command_line("reset", application=shop())
    assert result.code == 130
    assert set(MINE) <= set(broker.topics)


def test_a_running_application_is_not_reset_unless_it_is_forced(
    command_line: CommandLine, broker: MemoryBroker
) -> None:
    settings = GroupSettings("shop", "host-6066", group_instance_id="gone")
    group = broker.group("shop")
    group.admit(settings, frozenset({"orders"}), SpreadAssignor("gone", []), lambda: None)
    result = command_line("reset", "--yes", application=shop())
    assert (result.code, "its group has members (host-6066); stop its workers first" in result.err) == (1, True)
    assert set(MINE) <= set(broker.topics)
    dry = command_line("reset", "--dry-run", "--json", application=shop())
    assert (dry.code, len(json.loads(dry.out))) == (0, 8)
    assert dry.err.startswith("note: the application runs")
    forced = command_line("reset", "--yes", "--force", application=shop())
    assert forced.code == 0, forced.err
    assert forced.out.startswith("take member host-6066 (host-6066-1) out of group shop\n")
    assert group.members == []


def test_state_that_a_worker_holds_is_not_taken_from_it(
    command_line: CommandLine, broker: MemoryBroker, folder: Path
) -> None:
    backend = RocksBackend(folder / ".streamz" / "shop")
    shelf = backend.open("orders-0", {"totals": "x"})
    result = command_line("reset", "--yes", application=shop())
    shelf.close()
    backend.close()
    assert (result.code, StoreLocked.__name__ in result.err or "orders-0" in result.err) == (1, True)
    assert set(MINE) <= set(broker.topics)
