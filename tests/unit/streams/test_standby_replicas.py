"""`standby_replicas=` of tables: said once, where the table is declared."""

import pytest

from streamz_actors import App, Topic, Tumbling
from streamz_actors.errors import TopologyError


def users(app: App) -> Topic[str, str]:
    topic: Topic[str, str] = app.topic("users", key_type=str, value_type=str)
    return topic


def test_any_kind_of_table_may_say_how_many_it_wants() -> None:
    app = App("shop")
    app.table("plain", standby_replicas=1)
    app.set_table("sets", standby_replicas=2)
    app.table("windows", default=int, windowed=Tumbling(60), standby_replicas=3)
    app.table("later", default=int, standby_replicas=4).tumbling(60)
    app.table(users(app), standby_replicas=0)
    app.table("as-many-as-the-setting-says")
    wanted = {spec.name: spec.standby_replicas for spec in app.frozen().tables}
    assert wanted == {
        "plain": 1,
        "sets": 2,
        "windows": 3,
        "later": 4,
        "users": 0,
        "as-many-as-the-setting-says": None,
    }


def test_both_stores_of_a_versioned_table_have_them() -> None:
    app = App("shop")
    app.table(users(app), versioned=60, standby_replicas=2)
    assert {spec.standby_replicas for spec in app.frozen().tables} == {2}


def test_a_topics_table_that_is_asked_for_again_has_what_it_was_declared_with() -> None:
    app = App("shop")
    topic = users(app)
    app.table(topic, standby_replicas=2)
    app.table(topic)
    app.table(topic, standby_replicas=2)
    with pytest.raises(TopologyError, match="declared before with standby_replicas=2"):
        app.table(topic, standby_replicas=1)


def test_fewer_than_none_is_an_error() -> None:
    app = App("shop")
    with pytest.raises(TopologyError, match="standby_replicas=-1 must be 0 or more"):
        app.table("counts", standby_replicas=-1)
    with pytest.raises(TopologyError, match="'users': standby_replicas=-1"):
        app.table(users(app), standby_replicas=-1)
