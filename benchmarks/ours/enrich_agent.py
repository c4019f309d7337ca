"""W4 as an agent that looks up the order's account in a table."""

from collections.abc import AsyncIterator

from benchmarks.ours.accounts import TABLE, Account, Enriched
from benchmarks.ours.base import INPUT, OUTPUT, Order, make_app, topic

app = make_app()
orders = topic(app, INPUT, Order)
accounts = app.table(topic(app, TABLE, Account))
output = topic(app, OUTPUT, Enriched)


@app.agent(orders, sinks=[output], tables=[accounts])
async def enrich(stream: AsyncIterator[Order]) -> AsyncIterator[Enriched]:
    async for order in stream:
        yield Enriched(order.id, order.account, order.amount, accounts[order.account].tier)
