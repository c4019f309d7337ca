"""W1 as an agent."""

from collections.abc import AsyncIterator

from benchmarks.ours.base import INPUT, LIMIT, OUTPUT, Order, make_app, topic

app = make_app()
orders = topic(app, INPUT, Order)
large = topic(app, OUTPUT, Order)


@app.agent(orders, sinks=[large])
async def keep(stream: AsyncIterator[Order]) -> AsyncIterator[Order]:
    async for order in stream:
        if order.amount > LIMIT:
            yield order
