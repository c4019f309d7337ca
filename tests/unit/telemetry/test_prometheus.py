"""The Prometheus text is what Prometheus' own parser reads back."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from streamz_actors.telemetry.prometheus import Exposition, merged


@given(label=st.text(), value=st.floats(allow_nan=False) | st.integers(-(2**53), 2**53), about=st.text())
def test_any_label_and_number_is_read_back(label: str, value: float, about: str) -> None:
    out = Exposition()
    out.gauge("streamz_x", about, ({"what": label}, value))
    (family,) = text_string_to_metric_families(out.text())
    (sample,) = family.samples
    assert (family.type, sample.name, sample.labels, sample.value) == ("gauge", "streamz_x", {"what": label}, value)


def test_nan_and_infinities_have_their_own_spelling() -> None:
    out = Exposition()
    out.gauge("streamz_x", "x", ({"n": 1}, math.nan), ({"n": 2}, math.inf), ({"n": 3}, -math.inf))
    assert [line.rpartition(" ")[2] for line in out.text().splitlines()[2:]] == ["NaN", "+Inf", "-Inf"]


def test_a_counter_is_one_for_the_parser() -> None:
    out = Exposition()
    out.counter("streamz_records_total", "Records.", ({"topic": "a"}, 1), ({"topic": "b"}, True))
    (family,) = text_string_to_metric_families(out.text())
    assert (family.name, family.type, family.documentation) == ("streamz_records", "counter", "Records.")
    assert [sample.value for sample in family.samples] == [1, 1]


def test_a_family_without_samples_is_left_out() -> None:
    out = Exposition()
    out.gauge("streamz_x", "x")
    assert out.text() == ""


@given(labels=st.lists(st.text(), min_size=1, max_size=4, unique=True), process=st.text())
def test_what_is_merged_has_one_label_more_and_is_else_the_same(labels: list[str], process: str) -> None:
    out = Exposition()
    out.gauge("streamz_x", "x", *(({"what": label}, number) for number, label in enumerate(labels)))
    out.counter("streamz_y_total", "y", ({}, 7))
    families = list(text_string_to_metric_families(merged("process", {process: out.text(), f"{process}2": out.text()})))
    assert [family.name for family in families] == ["streamz_x", "streamz_y"]
    expected = [{"process": one, "what": label} for one in (process, f"{process}2") for label in labels]
    assert [sample.labels for sample in families[0].samples] == expected
    assert [sample.value for sample in families[1].samples] == [7, 7]


def test_nothing_merged_is_nothing() -> None:
    assert merged("process", {}) == merged("process", {"1": ""}) == ""
