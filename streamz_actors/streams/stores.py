"""Declaring what is kept: a store with a changelog of its own."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from streamz_actors.dataflow.node import Layout, StoreSpec
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.errors import TopologyError
from streamz_actors.serde.schema import Schema
from streamz_actors.streams.naming import checked

KEPT: Final[Mapping[str, str]] = MappingProxyType(
    {"cleanup.policy": "compact,delete", "retention.ms": str(2**63 - 1), "retention.bytes": "-1"}
)
"""Of the changelog of a store that forgets with time: the broker takes nothing from it by itself. Records have the time
of their events, and a broker goes by its own clock: of events from years ago it would delete all within minutes. What
is too old by the events' time is deleted by `worker/purge`, as brokers allow it where `delete` is among the policies.
"""


def checked_standbys(table: str, standby_replicas: int | None) -> int | None:
    if standby_replicas is not None and standby_replicas < 0:
        raise TopologyError(f"table {table!r}: standby_replicas={standby_replicas} must be 0 or more")
    return standby_replicas


def stored(
    builder: TopologyBuilder,
    name: str,
    key: Schema[Any],
    value: Schema[Any],
    *,
    changelog: bool = True,
    partitions: int | None = None,
    per_partition: bool = False,
    retention: int | None = None,
    kind: str = "table",
    layout: Layout | None = None,
    arrangement: str = "",
    standby_replicas: int | None = None,
) -> StoreSpec:
    """`<app id>-<name>-changelog` is its changelog, unless there is to be none.

    `retention`, in ms, is that of a store whose keys begin with a time: its changelog is kept as KEPT says.
    """
    checked(name, "table")
    topic = (
        builder.internal_topic(
            name,
            "changelog",
            key,
            value,
            compacting=True,
            partitions=partitions,
            config={} if retention is None else KEPT,
        )
        if changelog
        else None
    )
    return builder.table(
        StoreSpec(
            name,
            key,
            value,
            topic,
            per_partition=per_partition,
            partitions=partitions,
            retention=retention,
            kind=kind,
            layout=layout,
            arrangement=arrangement,
            standby_replicas=checked_standbys(name, standby_replicas),
        )
    )
