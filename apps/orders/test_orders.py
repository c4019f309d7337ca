"""What the orders application keeps and warns of."""

from apps.orders.app import Order, app
from streamz_actors.testing import TestDriver


async def test_totals_are_kept_per_account() -> None:
    async with TestDriver(app) as driver:
        await driver.send("orders", key="alice", value=Order("alice", 5.0))
        await driver.send("orders", key="bob", value=Order("bob", 7.0))
        await driver.send("orders", key="alice", value=Order("alice", 2.5))
        assert driver.table("totals")["alice"] == 7.5
        assert driver.table("totals")["bob"] == 7.0
        assert driver.read("alerts") == []


async def test_an_account_beyond_the_limit_raises_an_alert_with_each_order() -> None:
    async with TestDriver(app) as driver:
        await driver.send("orders", key="alice", value=Order("alice", 10_000.0), timestamp=1_000)
        assert driver.read("alerts") == []
        await driver.send("orders", key="alice", value=Order("alice", 1.0), timestamp=2_000)
        (alert,) = driver.read("alerts")
        assert (alert.key, alert.timestamp) == ("alice", 2_000)
        assert alert.value == {"account": "alice", "total": 10_001.0}


async def test_turnover_is_kept_per_currency_across_accounts() -> None:
    async with TestDriver(app) as driver:
        await driver.send("orders", key="alice", value=Order("alice", 5.0))
        await driver.send("orders", key="bob", value=Order("bob", 7.0))
        await driver.send("orders", key="bob", value=Order("bob", 100.0, currency="USD"))
        assert driver.table("turnover")["EUR"] == 12.0
        assert driver.table("turnover")["USD"] == 100.0
