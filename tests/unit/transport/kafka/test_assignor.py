"""Our assignor behind aiokafka's interface: what it is told, what is told on, and that it cannot hang a group."""

from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from streamz_actors.transport.abc import Offer, Share
from streamz_actors.transport.kafka.assignor import ForeignAssignor
from streamz_actors.types import TopicPartition


class Cluster:
    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return {"orders": {0, 1, 2}}.get(topic)


class Everything:
    """Gives all partitions of "orders" to the first member, and a name to everybody."""

    name = "everything"

    def __init__(self, error: Exception | None = None, topic: str = "orders") -> None:
        self.error, self.topic = error, topic
        self.offers: Sequence[Offer] = ()
        self.counts: Mapping[str, int] = {}
        self.assigned: list[tuple[Share, int, str, bool]] = []

    def user_data(self) -> bytes:
        if self.error:
            raise self.error
        return b"mine"

    def assign(self, offers: Sequence[Offer], partitions: Mapping[str, int]) -> Mapping[str, Share]:
        if self.error:
            raise self.error
        self.offers, self.counts = offers, partitions
        first = tuple(TopicPartition(self.topic, number) for number in range(3))
        return {o.member_id: Share(() if i else first, b"for " + o.user_data) for i, o in enumerate(offers)}

    def on_assigned(self, share: Share, generation: int, member_id: str, leader: bool) -> None:
        if self.error:
            raise self.error
        self.assigned.append((share, generation, member_id, leader))


def joined(assignor: Everything) -> tuple[ForeignAssignor, list[Exception], dict[str, Any]]:
    failures: list[Exception] = []
    foreign = ForeignAssignor(assignor, lambda: (7, "m1"), failures.append)
    members = {
        name: ConsumerProtocolMemberMetadata.decode(foreign.metadata(frozenset({"orders", "gone"})).encode())
        for name in ("m1", "m2")
    }
    return foreign, failures, foreign.assign(Cluster(), members)


def test_user_data_and_partitions_travel_both_ways() -> None:
    assignor = Everything()
    foreign, failures, answers = joined(assignor)
    assert assignor.offers == [
        Offer("m1", frozenset({"orders", "gone"}), b"mine"),
        Offer("m2", frozenset({"orders", "gone"}), b"mine"),
    ]
    assert assignor.counts == {"orders": 3}
    foreign.on_assignment(ConsumerProtocolMemberAssignment.decode(answers["m1"].encode()))
    partitions = tuple(TopicPartition("orders", number) for number in range(3))
    assert assignor.assigned == [(Share(partitions, b"for mine"), 7, "m1", True)]
    foreign.metadata(frozenset({"orders"}))
    foreign.on_assignment(ConsumerProtocolMemberAssignment.decode(answers["m2"].encode()))
    assert assignor.assigned[1] == (Share((), b"for mine"), 7, "m1", False)
    assert not failures


def test_what_it_raises_is_reported_and_everybody_gets_an_answer() -> None:
    error = RuntimeError("a bug")
    foreign, failures, answers = joined(Everything(error))
    assert {name: list(answer.assignment) for name, answer in answers.items()} == {"m1": [], "m2": []}
    foreign.on_assignment(ConsumerProtocolMemberAssignment.decode(answers["m1"].encode()))
    assert failures == [error] * 4


def test_a_topic_that_a_member_did_not_subscribe_to_is_not_given_to_it() -> None:
    _, failures, answers = joined(Everything(topic="other"))
    assert "did not subscribe" in str(failures[0])
    assert answers["m1"].assignment == []
