"""Orders: an agent that warns of big accounts, and the turnover per currency written with the DSL."""

from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from streamz_actors import App, Record

LIMIT = 10_000.0

app = App("orders")


class Order(Record):
    account: str
    amount: float
    currency: str = "EUR"


orders = app.topic("orders", key_type=str, value_type=Order, partitions=8)
alerts = app.topic("alerts", key_type=str, value_type=dict)
totals = app.table("totals", key_type=str, value_type=float, default=float)


@app.agent(orders, sinks=[alerts])
async def watch(stream: AsyncIterable[Order]) -> AsyncIterator[dict[str, Any]]:
    """One actor per partition: the orders of one account come in their order, and nobody else writes its total."""
    async for order in stream:
        totals[order.account] += order.amount
        if totals[order.account] > LIMIT:
            yield {"account": order.account, "total": totals[order.account]}


turnover = (
    app.stream(orders)
    .group_by(lambda _, order: order.currency, key_type=str)
    .aggregate(lambda: 0.0, lambda _, order, total: total + order.amount, name="turnover")
)


if __name__ == "__main__":
    app.main()
