"""W4 with the DSL: a join of the orders with a table."""

from benchmarks.ours.accounts import TABLE, Account, Enriched
from benchmarks.ours.base import INPUT, OUTPUT, Order, make_app, topic

app = make_app()
orders = topic(app, INPUT, Order)
accounts = app.table(topic(app, TABLE, Account))
output = topic(app, OUTPUT, Enriched)


def enriched(order: Order, account: Account) -> Enriched:
    return Enriched(order.id, order.account, order.amount, account.tier)


app.stream(orders).join(accounts, enriched).to(output)
