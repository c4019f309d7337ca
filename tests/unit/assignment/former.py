"""A release before standbys, as it took part in its group: format 1, frozen. It must not follow the code that is."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from streamz_actors.errors import DecodeError
from streamz_actors.serde.schema import schema_for
from streamz_actors.transport.abc import Offer, Share
from streamz_actors.types import TopicPartition

T = TypeVar("T")

VERSION: Final = 1

OFFER: Final = bytes.fromhex(
    "010178da458cc10ac2301044ff65ce5b9aa844d85f911e8259b41436b259f450faef46a938a737cc6356bcaa2d62e01d8638a4901208b9"
    "1493d6fa72777ff038fe04de8536eb55c0f11cfe21dc44c5b2cf55c1a748f0dc967eb2429ea2dee912e83011aa15b14f8dd346d0fafd3a"
    "6e6f94c72c1e"
)
"""What such a worker said: `Member("worker-1-6066", "http://worker-1:6066", 1700000000000, 41, {"events": (0, 2),
"orders": (1,)}, 3)`.
"""
ANSWER: Final = bytes.fromhex(
    "010178da6d8e310a80301443ef92f99756870ebd8a3814fa4150acfc161d4aef6e159d744cf24252b0b00f2c7038a2cc2caa53d6580bc2"
    "14534e704379921fc487209c1a8429e7cd69fd02ee062a7dbbfdb78b3a12b24f731305bcf37aef1aeac8b4244afb7719ead2b59ebad137"
    "a0"
)
"""What such a leader told: `Ownership("worker-1-6066", (Host("worker-1-6066", "http://worker-1:6066"),
Host("worker-2-6066", "")), {"events": (0, 1, 0), "orders": (-1, 0)})`.
"""


@dataclass(frozen=True, slots=True)
class Host:
    worker: str
    address: str


@dataclass(frozen=True, slots=True)
class Member:
    worker: str
    address: str
    since: int
    generation: int
    tasks: Mapping[str, tuple[int, ...]]
    nonce: int = 0


@dataclass(frozen=True, slots=True)
class Ownership:
    leader: str
    hosts: tuple[Host, ...]
    tasks: Mapping[str, tuple[int, ...]]


def pack(value: Member | Ownership) -> bytes:
    return bytes((VERSION, VERSION)) + zlib.compress(schema_for(type(value), "json").encode(value) or b"", 9)


def unpack(data: bytes, type_: type[T]) -> T | None:
    if len(data) < 2 or data[1] > VERSION:
        return None
    inflate = zlib.decompressobj()
    try:
        text = inflate.decompress(data[2:], 4 << 20)
        decoded: T | None = schema_for(type_, "json").decode(text) if inflate.eof else None
        return decoded
    except (zlib.error, DecodeError):
        return None


def assign(me: Member, topic: str, count: int, offers: Sequence[Offer]) -> dict[str, Share]:
    """What its leader made of offers, for one topic: here, simply one after the other."""
    members = {offer.member_id: unpack(offer.user_data, Member) for offer in offers}
    known = [member_id for member_id, member in members.items() if member is not None]
    owners = [offers[partition % len(offers)].member_id for partition in range(count)]
    hosts = tuple(Host(member.worker, member.address) for member in members.values() if member is not None)
    numbers = tuple(known.index(owner) if owner in known else -1 for owner in owners)
    told = pack(Ownership(me.worker, hosts, {topic: numbers}))
    return {
        offer.member_id: Share(
            tuple(TopicPartition(topic, place) for place in range(count) if owners[place] == offer.member_id), told
        )
        for offer in offers
    }
