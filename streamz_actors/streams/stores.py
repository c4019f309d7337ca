"""Declaring what is kept: a store with a changelog of its own."""

from typing import Any

from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.dataflow.topology import TopologyBuilder
from streamz_actors.serde.schema import Schema
from streamz_actors.streams.naming import checked


def stored(
    builder: TopologyBuilder,
    name: str,
    key: Schema[Any],
    value: Schema[Any],
    *,
    changelog: bool = True,
    partitions: int | None = None,
    per_partition: bool = False,
) -> StoreSpec:
    """`<app id>-<name>-changelog` is its changelog, unless there is to be none."""
    checked(name, "table")
    topic = (
        builder.internal_topic(name, "changelog", key, value, compacting=True, partitions=partitions)
        if changelog
        else None
    )
    return builder.table(StoreSpec(name, key, value, topic, per_partition=per_partition, partitions=partitions))
