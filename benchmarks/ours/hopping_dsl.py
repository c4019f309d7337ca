"""W3h with the DSL."""

from benchmarks.ours.base import INPUT, Order, make_app, topic
from benchmarks.ours.windows import add, updates, zero
from streamz_actors import Hopping

app = make_app()
orders = app.stream(topic(app, INPUT, Order))
sums = orders.group_by_key().windowed_by(Hopping(60, 10)).aggregate(zero, add, name="sums")
sums.to_stream().to(updates(app))
