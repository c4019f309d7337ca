"""What a worker makes of what it is told of copies: which it keeps, and who may have the same task's in its folder."""

import pytest

from streamz_actors import App
from streamz_actors.assignment.wire import Host, Own, Ownership
from streamz_actors.dataflow.subtopologies import split
from streamz_actors.transport.abc import TopicInfo
from streamz_actors.worker.duties import duties
from streamz_actors.worker.provision import Provision

app = App("duties")
app.stream(app.topic("in", key_type=str, value_type=int, partitions=2)).group_by_key().count("counts")
app.stream(app.topic("plain", key_type=str, value_type=int, partitions=2)).foreach(lambda key, value: None)
PROVISION = Provision("cluster", {"in": TopicInfo("in", "id", 2)}, tuple(split(app.frozen(), {}, 2)))

HOSTS = (
    Host("me", "http://one:1"),
    Host("sibling", "http://one:2"),
    Host("far", "http://two:1"),
    Host("mute", ""),
)
ME, SIBLING, FAR, MUTE = range(4)
NOTHING = Own()


def told(owner: int = FAR, copies: tuple[int, ...] = (ME,), own: Own = NOTHING) -> Ownership:
    return Ownership("me", HOSTS, {"in": (owner, FAR)}, {"in": (copies, ())}, own)


def test_standbys_and_warmups_are_both_kept() -> None:
    found = duties(told(own=Own({"in": (0,)}, {"in": (1,)})), "me", PROVISION)
    assert {name: number for name, (_, number) in found.copies.items()} == {"in-0": 0, "in-1": 1}
    assert found.warmups == {"in-1"}


def test_one_that_is_both_is_one() -> None:
    found = duties(told(own=Own({"in": (0,)}, {"in": (0,)})), "me", PROVISION)
    assert list(found.copies) == ["in-0"]


@pytest.mark.parametrize("name", ["in", "plain", "unknown"])
def test_what_this_release_does_not_have_is_not_kept(name: str) -> None:
    numbers = (2,) if name == "in" else (0,)
    assert duties(told(own=Own({name: numbers})), "me", PROVISION).copies == {}


def test_who_is_told_nothing_keeps_nothing() -> None:
    found = duties(None, "me", PROVISION)
    assert (found.copies, found.neighbours("in", 0)) == ({}, 0)


@pytest.mark.parametrize(
    ("owner", "copies", "neighbours"),
    [
        (ME, (), 0),
        (ME, (SIBLING,), 1),
        (SIBLING, (ME,), 1),
        (FAR, (ME, SIBLING), 1),
        (FAR, (ME,), 0),
        (MUTE, (ME,), 1),
        (MUTE, (SIBLING, ME), 2),
        (-1, (ME,), 0),
    ],
)
def test_those_on_this_machine_and_those_that_may_be_count(
    owner: int, copies: tuple[int, ...], neighbours: int
) -> None:
    assert duties(told(owner, copies), "me", PROVISION).neighbours("in", 0) == neighbours


def test_who_does_not_know_its_own_machine_counts_all() -> None:
    assert duties(told(FAR, (SIBLING, MUTE)), "mute", PROVISION).neighbours("in", 0) == 2
