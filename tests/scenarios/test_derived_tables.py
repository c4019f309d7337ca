"""Tables made of tables as an application runs them: several partitions, restarts in the middle, on both stores; from
what is on disk, and from the changelogs alone.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from streamz_actors import App, Record, Tumbling, Windowed, until_time_limit, until_window_closes
from streamz_actors.testing import TestDriver


class Order(Record, frozen=True):
    account: str | None
    amount: int


@pytest.fixture(params=["memory://", "rocksdb://", "rocksdb:// lost"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[App], "Site"]:
    store, _, lost = str(request.param).partition(" ")
    return lambda app: Site(app, store, tmp_path, lost=bool(lost))


class Site:
    """An application that can be stopped and started again, perhaps with its disk lost in between."""

    def __init__(self, app: App, store: str, data_dir: Path, *, lost: bool) -> None:
        self.driver = TestDriver(app, store=store, data_dir=data_dir)
        self._data_dir, self._lost = data_dir, lost

    async def __aenter__(self) -> "Site":
        await self.driver.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.driver.stop()

    async def restart(self) -> None:
        await self.driver.stop()
        if self._lost:
            await asyncio.to_thread(shutil.rmtree, self._data_dir)
        await self.driver.start()

    async def send(self, topic: str, key: str, value: Any, timestamp: int) -> None:
        await self.driver.send(topic, key=key, value=value, timestamp=timestamp)

    def read(self, topic: str) -> list[tuple[Any, Any, int]]:
        return sorted((row.key, row.value, row.timestamp) for row in self.driver.read(topic))


MakeSite = Callable[[App], Site]


def orders_and_accounts(*, partitions: tuple[int, int] = (3, 2)) -> tuple[App, Any, Any]:
    app = App("derived", topic_partitions=2)
    orders = app.table(app.topic("orders", key_type=str, value_type=Order, partitions=partitions[0]))
    accounts = app.table(app.topic("accounts", key_type=str, value_type=str, partitions=partitions[1]))
    return app, orders, accounts


async def test_a_foreign_key_join_goes_on_behind_a_restart(site: MakeSite) -> None:
    app, orders, accounts = orders_and_accounts()
    named = orders.left_join(
        accounts, lambda order, name: f"{order.amount} {name}", foreign_key=lambda _, order: order.account, name="named"
    )
    named.to_stream().to(app.topic("out", key_type=str, value_type=str))
    async with site(app) as running:
        await running.send("accounts", "a", "Ann", 10)
        await running.send("orders", "1", Order("a", 5), 5)
        await running.send("orders", "2", Order("b", 6), 6)
        await running.send("orders", "3", Order(None, 7), 7)
        assert running.read("out") == [("1", "5 Ann", 10), ("2", "6 None", 6), ("3", "7 None", 7)]
        await running.restart()
        await running.send("accounts", "a", "Anna", 11)
        await running.send("accounts", "b", "Bob", 4)
        assert running.read("out") == [("1", "5 Anna", 11), ("2", "6 Bob", 4)]
        await running.send("orders", "1", Order("b", 8), 12)
        await running.send("orders", "2", None, 13)
        assert running.read("out") == [("1", "8 Bob", 12), ("2", None, 13)]
        await running.restart()
        await running.send("accounts", "a", "Anne", 14)
        await running.send("accounts", "b", None, 15)
        assert running.read("out") == [("1", "8 None", 15)]
        assert dict(running.driver.table("named").items()) == {"1": "8 None", "3": "7 None"}


async def test_groups_of_a_table_go_on_behind_a_restart(site: MakeSite) -> None:
    app, orders, _ = orders_and_accounts()
    grouped = orders.group_by(lambda _, order: (order.account, order.amount), key_type=str, value_type=int)
    total = grouped.reduce(lambda one, two: one + two, lambda one, two: one - two, name="total")
    total.to_stream().to(app.topic("out", key_type=str, value_type=int))
    async with site(app) as running:
        await running.send("orders", "1", Order("a", 5), 5)
        await running.send("orders", "2", Order("a", 6), 4)
        await running.restart()
        await running.send("orders", "1", Order("b", 5), 6)
        await running.send("orders", "2", Order("a", 7), 3)
        assert running.read("out") == [("a", 5, 5), ("a", 6, 6), ("a", 7, 6), ("a", 11, 5), ("b", 5, 6)]
        assert dict(running.driver.table("total").items()) == {"a": 7, "b": 5}


async def test_what_is_held_back_waits_over_a_restart(site: MakeSite) -> None:
    app = App("derived", topic_partitions=1)
    prices = app.table(app.topic("prices", key_type=str, value_type=int, partitions=1))
    calm = prices.suppress(until_time_limit(0.01), name="calm")
    calm.to_stream().to(app.topic("out", key_type=str, value_type=int))
    async with site(app) as running:
        await running.send("prices", "a", 1, 100)
        await running.send("prices", "b", 2, 105)
        await running.restart()
        await running.send("prices", "a", 3, 103)
        await running.send("prices", "c", 1, 109)
        assert running.read("out") == []
        await running.restart()
        await running.send("prices", "d", 1, 50)  # it came before it is due: stream time is not forgotten
        assert running.read("out") == [("d", 1, 50)]
        await running.send("prices", "d", 2, 110)
        assert running.read("out") == [("a", 3, 103)]


async def test_a_window_gives_one_final_result_over_restarts(site: MakeSite) -> None:
    app = App("derived", topic_partitions=1)
    clicks = app.stream(app.topic("clicks", key_type=str, value_type=int, partitions=1))
    counts = clicks.group_by_key().windowed_by(Tumbling(0.01, grace=0.005)).count("counts")
    counts.suppress(until_window_closes(), name="final").to_stream().to(
        app.topic("out", key_type=Windowed[str], value_type=int)
    )
    async with site(app) as running:
        await running.send("clicks", "a", 1, 3)
        await running.restart()
        await running.send("clicks", "a", 1, 14)
        await running.send("clicks", "a", 1, 5)
        assert running.driver.read("out") == []
        await running.restart()
        await running.send("clicks", "b", 1, 15)
        (final,) = running.driver.read("out")
        assert (final.key, final.value, final.timestamp) == (Windowed("a", 0, 10), 2, 5)
        await running.restart()
        await running.send("clicks", "a", 1, 4)
        await running.send("clicks", "b", 1, 16)
        assert running.driver.read("out") == []


async def test_tables_joined_by_key_go_on_behind_a_restart(site: MakeSite) -> None:
    app, orders, accounts = orders_and_accounts(partitions=(2, 2))
    big = orders.filter(lambda _, order: order.amount > 5)
    both = big.outer_join(accounts, lambda order, name: f"{order and order.amount} {name}", name="both")
    both.to_stream().to(app.topic("out", key_type=str, value_type=str))
    async with site(app) as running:
        await running.send("orders", "1", Order("a", 9), 5)
        await running.send("accounts", "2", "Bob", 6)
        await running.restart()
        await running.send("accounts", "1", "Ann", 4)
        await running.send("orders", "2", Order("a", 6), 3)
        await running.send("orders", "1", Order("a", 1), 7)
        assert running.read("out") == [
            ("1", "9 Ann", 5), ("1", "9 None", 5), ("1", "None Ann", 7), ("2", "6 Bob", 6), ("2", "None Bob", 6),
        ]
        assert dict(running.driver.table("both").items()) == {"1": "None Ann", "2": "6 Bob"}
