"""What members tell each other: there and back, and no bytes whatever that could do harm."""

import zlib
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.assignment.wire import (
    OLDEST,
    VERSION,
    Host,
    Member,
    Own,
    Ownership,
    pack,
    pack_own,
    unpack_member,
    unpack_ownership,
)

NAMES = st.text(max_size=20)
HELD = st.dictionaries(NAMES, st.lists(st.integers(0, 9999), max_size=5).map(tuple), max_size=4)
LAGS = st.dictionaries(NAMES, st.dictionaries(st.integers(0, 9999), st.integers(0, 2**53), max_size=5), max_size=4)
IDS = st.lists(NAMES, max_size=3).map(tuple)
MEMBERS = st.builds(
    Member,
    NAMES,
    NAMES,
    st.integers(0, 2**53),
    st.integers(-1, 2**31),
    HELD,
    st.integers(0, 1000),
    st.none() | LAGS,
    HELD,
    NAMES,
    NAMES,
    IDS,
)
OWNS = st.builds(Own, HELD, HELD, IDS, IDS)
HOSTS = st.lists(st.builds(Host, NAMES, NAMES), min_size=1, max_size=4).map(tuple)

patient = settings(deadline=None)


@st.composite
def ownerships(draw: st.DrawFn) -> Ownership:
    hosts = draw(HOSTS)
    owners = st.lists(st.integers(-1, len(hosts) - 1), max_size=6).map(tuple)
    keepers = st.lists(st.lists(st.integers(0, len(hosts) - 1), max_size=2).map(tuple), max_size=6).map(tuple)
    tasks, copies = st.dictionaries(NAMES, owners, max_size=4), st.dictionaries(NAMES, keepers, max_size=4)
    return Ownership(draw(NAMES), hosts, draw(tasks), draw(copies), draw(OWNS))


@patient
@given(MEMBERS)
def test_a_member_arrives_as_it_was_sent(member: Member) -> None:
    assert unpack_member(pack(member)) == member


@patient
@given(ownerships())
def test_an_ownership_arrives_as_it_was_sent(ownership: Ownership) -> None:
    assert unpack_ownership(pack(ownership)) == ownership


@patient
@given(st.binary(max_size=200))
def test_any_bytes_are_nothing_or_something_never_an_error(data: bytes) -> None:
    for header in (b"", bytes((VERSION, OLDEST))):
        unpack_member(header + data)
        unpack_ownership(header + data)
        unpack_member(header + zlib.compress(data))
        unpack_ownership(header + zlib.compress(data))


@patient
@given(ownerships(), st.data())
def test_a_damaged_ownership_is_none_or_one_that_can_be_asked(ownership: Ownership, data: st.DataObject) -> None:
    packed = bytearray(pack(ownership))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    found = unpack_ownership(bytes(packed))
    if found is not None:
        for sub, owners in found.tasks.items():
            for partition in range(-1, len(owners) + 1):
                found.owner(sub, partition)
        for sub, copies in found.copies.items():
            for partition in range(-1, len(copies) + 1):
                found.standbys(sub, partition)


def test_a_newer_version_is_read_as_long_as_it_says_that_it_can_be() -> None:
    member = Member("w", "", 0, 3, {"in": (0, 2)})
    packed = pack(member)
    assert unpack_member(bytes((VERSION + 5, VERSION)) + packed[2:]) == member
    assert unpack_member(bytes((VERSION + 5, VERSION + 1)) + packed[2:]) is None


def test_what_unpacks_to_more_than_a_group_can_say_is_not_unpacked() -> None:
    assert unpack_member(bytes((VERSION, OLDEST)) + zlib.compress(b'"' + b"x" * (64 << 20) + b'"')) is None


def test_owners_and_keepers_that_are_no_hosts_make_it_unreadable() -> None:
    hosts = (Host("w", ""),)
    assert unpack_ownership(pack(Ownership("w", hosts, {"in": (0, 1)}))) is None
    assert unpack_ownership(pack(Ownership("w", hosts, {}, {"in": ((0, 1),)}))) is None
    assert unpack_ownership(pack(Ownership("w", hosts, {}, {"in": ((-1,),)}))) is None
    assert unpack_ownership(pack(Ownership("w", hosts, {"in": (-1,)}, {"in": ((0,),)}))) is not None


def test_what_one_is_told_alone_comes_with_what_all_are_told_or_not_at_all() -> None:
    ownership = Ownership("w", (Host("w", ""),), {"in": (0,)}, own=Own({"in": (0,)}, {}, ("x",), ("y",)))
    packed = pack(ownership)
    assert unpack_ownership(packed) == ownership
    assert pack(replace(ownership, own=Own())) + pack_own(ownership.own) == packed
    assert unpack_ownership(packed[:-1]) is None


def test_nobody_owns_what_is_not_there() -> None:
    host = Host("w", "http://w")
    ownership = Ownership("w", (host,), {"in": (0, -1)})
    assert [ownership.owner("in", partition) for partition in (-1, 0, 1, 2)] == [None, host, None, None]
    assert ownership.owner("other", 0) is None
