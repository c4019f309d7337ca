"""Names that the user did not give."""

from functools import partial

import pytest

from streamz_actors.errors import TopologyError
from streamz_actors.streams.naming import checked, path, source_name


def is_large() -> None: ...


def test_a_path_has_the_users_words_and_no_counter() -> None:
    assert path("orders", "filter") == "orders-filter"
    assert path("orders", "filter", is_large) == "orders-filter-is_large"
    assert path("orders", "filter", lambda: None) == "orders-filter"
    assert path("orders", "filter", partial(is_large)) == "orders-filter"
    assert path("orders", "map_values", str) == "orders-map_values"


@pytest.mark.parametrize("name", ["", "a b", "ä", "..", "a/b", "x" * 181])
def test_a_name_that_no_topic_can_have_is_refused(name: str) -> None:
    with pytest.raises(TopologyError, match="table"):
        checked(name, "table")
    assert checked("x" * 180, "table")


def test_several_topics_make_one_name() -> None:
    assert source_name(("a", "b.c")) == "a-b.c"
    assert source_name(("a b",)) == "a_b"
