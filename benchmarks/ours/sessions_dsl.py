"""W3s with the DSL."""

from benchmarks.ours.base import INPUT, Order, make_app, topic
from benchmarks.ours.windows import add, both, updates, zero
from streamz_actors import Session

app = make_app()
orders = app.stream(topic(app, INPUT, Order))
sums = orders.group_by_key().windowed_by(Session(10)).aggregate(zero, add, name="sums", merger=both)
sums.to_stream().to(updates(app))
