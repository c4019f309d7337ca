"""The application of test_standbys.py: how often each key has come."""

from streamz_actors import App

PARTITIONS = 4

app = App("visiting", standby_replicas=1)
visits = app.topic("visits", key_type=str, value_type=int, partitions=PARTITIONS)
counted = app.stream(visits).group_by_key().count("counted")
