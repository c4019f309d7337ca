"""Churn: counts in tumbling windows of ten seconds, every update out."""

from benchmarks.ours.base import INPUT, OUTPUT, make_app, topic
from streamz_actors import Tumbling, Windowed

app = make_app()
events = app.stream(topic(app, INPUT, bytes))
counts = events.group_by_key().windowed_by(Tumbling(10)).count(name="counts")
counts.to_stream().to(topic(app, OUTPUT, int, Windowed[str]))
