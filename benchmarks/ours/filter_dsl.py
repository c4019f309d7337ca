"""W1 with the DSL."""

from benchmarks.ours.base import INPUT, LIMIT, OUTPUT, Order, make_app, topic

app = make_app()
app.stream(topic(app, INPUT, Order)).filter(lambda _, order: order.amount > LIMIT).to(topic(app, OUTPUT, Order))
