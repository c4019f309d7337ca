"""W2 with the DSL."""

from benchmarks.ours.base import INPUT, make_app, topic

app = make_app()
counts = app.stream(topic(app, INPUT, bytes)).group_by_key().count(name="counts")
