"""Who runs the tasks: one member has them all, the others wait as spares. The plan is pure; the assignor carries it."""

from collections.abc import Callable, Mapping, Sequence

from streamz_actors.assignment.wire import Host, Member, Ownership, pack, unpack_member, unpack_ownership
from streamz_actors.transport.abc import Offer, Share
from streamz_actors.types import TopicPartition


def choose(members: Mapping[str, Member | None]) -> str:
    """The member id that runs the tasks: the one that already does, else the one that has waited longest."""

    def rank(item: tuple[str, Member | None]) -> tuple[bool, bool, int, str]:
        member_id, member = item
        if member is None:
            return True, True, 0, member_id
        return False, not member.tasks, member.since, member_id

    return min(members.items(), key=rank)[0]


class WholeAssignor:
    """All partitions to one member. `member` describes this worker at each join; `told` gets every outcome."""

    name = "streamz-actors"

    def __init__(self, member: Callable[[], Member], told: Callable[[Ownership | None, bool], None]) -> None:
        self._member, self._told = member, told

    def user_data(self) -> bytes:
        return pack(self._member())

    def assign(self, offers: Sequence[Offer], partitions: Mapping[str, int]) -> Mapping[str, Share]:
        members = {offer.member_id: unpack_member(offer.user_data) for offer in offers}
        chosen = choose(members)
        member = members[chosen]
        hosts = () if member is None else (Host(member.worker, member.address),)
        answer = b"" if member is None else pack(Ownership(member.worker, hosts, {}))
        everything = tuple(
            TopicPartition(topic, number) for topic, count in sorted(partitions.items()) for number in range(count)
        )
        return {member_id: Share(everything if member_id == chosen else (), answer) for member_id in members}

    def on_assigned(self, share: Share, generation: int, member_id: str, leader: bool) -> None:
        self._told(unpack_ownership(share.user_data), leader)
