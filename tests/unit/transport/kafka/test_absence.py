"""When a topic counts as gone: brokers that answer have not known it for long enough."""

from types import SimpleNamespace
from typing import Any

import pytest

from streamz_actors.clock import ManualClock
from streamz_actors.transport.kafka.absence import SETTLING, Absences, Gone

LIMIT = 60.0


class Cluster:
    """What brokers have said last."""

    def __init__(self) -> None:
        self.topics: dict[str, set[int]] = {}
        self.unauthorized_topics: set[str] = set()

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return self.topics.get(topic)


class Site:
    def __init__(self, **topics: set[int]) -> None:
        self.clock, self.cluster = ManualClock(), Cluster()
        client: Any = SimpleNamespace(cluster=self.cluster)
        self.absences = Absences(client, self.clock, LIMIT)
        self.cluster.topics = topics
        for topic in topics:
            assert self.absences.check(topic)

    def later(self, seconds: float, answered: bool | None = True, topic: str = "out") -> bool:
        self.clock.advance_to_next(self.clock.monotonic() + seconds)
        return self.absences.check(topic, answered)


def test_a_topic_that_is_gone_is_waited_for_and_then_refused_at_once(caplog: pytest.LogCaptureFixture) -> None:
    site = Site(out={0, 1})
    site.cluster.topics.clear()
    assert not site.later(1)
    assert not site.later(LIMIT - 1)
    assert caplog.messages == ["topic 'out' is gone: records for it wait for 60 s, it may be made anew"]
    for waited in (1, 5):
        with pytest.raises(Gone, match="there is no such topic any more"):
            site.later(waited)
    assert not site.later(1, answered=None), "nobody was asked"
    with pytest.raises(Gone):
        site.later(0)


def test_one_that_is_made_anew_is_there(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    site = Site(out={0})
    site.cluster.topics.clear()
    assert not site.later(LIMIT / 2)
    site.cluster.topics["out"] = {0}
    assert site.later(LIMIT)
    assert caplog.messages[-1] == "topic 'out' is there again"
    site.cluster.topics.clear()
    assert not site.later(LIMIT), "the time begins anew"


@pytest.mark.parametrize("why", ["no broker answers", "it is not told"])
def test_what_nobody_knows_is_not_gone(why: str) -> None:
    site = Site(out={0})
    site.cluster.topics.clear()
    site.later(1)
    if why == "it is not told":
        site.cluster.unauthorized_topics.add("out")
    assert not site.later(10 * LIMIT, answered=why != "no broker answers")
    site.cluster.unauthorized_topics.clear()
    assert not site.later(1), "who comes back from an outage may not know all topics yet"
    with pytest.raises(Gone):
        site.later(LIMIT)


def test_one_that_never_was_there_is_refused_soon() -> None:
    site = Site()
    assert not site.later(1)
    with pytest.raises(Gone, match="there is no such topic; create it first"):
        site.later(SETTLING)


def test_one_that_brokers_come_to_know_a_moment_after_it_was_made_is_not_there_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    site = Site()
    assert not site.later(1)
    site.cluster.topics["out"] = {0}
    assert site.later(1)
    assert caplog.messages == []
