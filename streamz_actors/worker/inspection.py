"""A release compared with what there is of the application: what would fail, what would stay behind. Pure."""

from collections.abc import Iterator
from typing import Any

from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.dataflow.topics import Topic
from streamz_actors.errors import TopicMismatch, TopologyError
from streamz_actors.transport.abc import TopicInfo
from streamz_actors.worker.compatibility import evolved, successor, unreadable
from streamz_actors.worker.descriptions import Described, described
from streamz_actors.worker.findings import Finding, Severity, incompatible, note, orphaned
from streamz_actors.worker.provision import check, wanted
from streamz_actors.worker.spec import Spec
from streamz_actors.worker.survey import Survey, known_topics, parts_of

POLICY = "cleanup.policy"
RETENTION = "retention.ms"


def inspect(spec: Spec, there: Survey) -> list[Finding]:
    """Everything worth telling, the worst first."""
    try:
        subs = parts_of(spec, there.counts)
    except TopologyError as error:
        return [incompatible(f"application {spec.app_id}", str(error))]
    mine = described(spec, there.topics)
    found = [
        *_counts(spec, there, subs),
        *_settings(spec, there),
        *unreadable(mine, there.described),
        *evolved(mine, there.described),
        *_left_topics(spec, there, subs),
        *_left_offsets(spec, there, subs),
        *_left_places(there, subs),
    ]
    order = list(Severity)
    return sorted(found, key=lambda finding: order.index(finding.severity))


def _counts(spec: Spec, there: Survey, subs: tuple[SubTopology, ...]) -> Iterator[Finding]:
    for name, (topic, count) in sorted(wanted(spec, subs).items()):
        info = there.topics.get(name)
        if info is not None:
            try:
                check(spec, name, info, topic, count)
            except TopicMismatch as error:
                yield incompatible(f"topic {name}", str(error))
        elif topic is not None and not topic.internal:
            yield note(f"topic {name}", f"it does not exist: a worker makes it, with {count} partitions")


def _settings(spec: Spec, there: Survey) -> Iterator[Finding]:
    for topic in spec.topology.topics:
        for name in topic.names:
            for setting, wish in topic.settings.items():
                has = there.settings.get(name, {}).get(setting)
                if has is not None and _differ(setting, has, wish):
                    yield _setting(topic, name, setting, has, wish)


def _differ(setting: str, one: str, other: str) -> bool:
    if setting == POLICY:
        return {part.strip() for part in one.split(",")} != {part.strip() for part in other.split(",")}
    return one != other


def _setting(topic: Topic[Any, Any], name: str, setting: str, has: str, wish: str) -> Finding:
    message = f"it has {setting}={has}, and would be made with {wish}"
    if topic.internal and setting == POLICY:
        return incompatible(f"topic {name}", f"{message}: what it is to keep is lost or never cleaned up; set it so")
    if topic.internal and setting == RETENTION:
        message += ": the broker deletes by its own clock, so of events of long ago it keeps nothing; set it so"
    return note(f"topic {name}", message)


def _left_topics(spec: Spec, there: Survey, subs: tuple[SubTopology, ...]) -> Iterator[Finding]:
    known = known_topics(spec, subs)
    everything = described(spec, {name: there.topics.get(name, TopicInfo(name, "", 0)) for name in known})
    fresh = [one for name, one in everything.items() if name not in there.topics]
    for name in sorted(there.topics.keys() - known):
        if there.is_ours(spec.app_id, name):
            yield _left_topic(name, there.described.get(name), fresh)


def _left_topic(name: str, then: Described | None, fresh: list[Described]) -> Finding:
    if then is None:
        return orphaned(f"topic {name}", "nothing of this release uses it; by its name it is the application's")
    if not then.table:
        return orphaned(f"topic {name}", "nothing of this release uses it; what is in it is not worked off any more")
    heir = successor(then, fresh)
    renamed = "" if heir is None else f"; if {heir.table!r} is its new name, that one begins empty: keep the old name"
    return orphaned(f"table {then.table}", f"this release has no such table: its state stays in {name}{renamed}")


def _left_offsets(spec: Spec, there: Survey, subs: tuple[SubTopology, ...]) -> Iterator[Finding]:
    read = {name for sub in subs for name in sub.topics}
    committed = {place.topic for place in there.committed}
    for name in sorted(committed - read):
        yield orphaned(f"topic {name}", "the group has committed offsets of it, and this release does not read it")
    for name in sorted(read - committed) if committed else ():
        if name in there.topics:
            begins = spec.settings.auto_offset_reset
            yield note(f"topic {name}", f"it has not been read so far: it begins at the {begins} record")


def _left_places(there: Survey, subs: tuple[SubTopology, ...]) -> Iterator[Finding]:
    tasks = {sub.task_name(partition) for sub in subs for partition in range(sub.partitions)}
    for place in there.places:
        if place.partition("@")[0] not in tasks:
            yield orphaned(f"task {place}", "this release has no such task: its state on this machine is not used")
