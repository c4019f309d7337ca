"""Everything the suite knows about streamz_actors: how a topology is declared and how the driver is spoken to.

One method per topology operation. README, "Call shapes the suite uses", shows the same calls as user code.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import streamz_actors
from streamz_actors.testing import TestDriver
from tests.conformance.functions import make_async, resolve

Node = dict[str, Any]
sa: Any = streamz_actors                                 # names that are still to come are absent


def milliseconds(value: int) -> timedelta:
    return timedelta(milliseconds=value)


def type_of(name: str) -> Any:
    """"str", "int", or "windowed:str" for a key that carries its window."""
    if name.startswith("windowed:"):
        return sa.Windowed[type_of(name.removeprefix("windowed:"))]
    return {"str": str, "int": int}[name]


def window_of(spec: dict[str, Any]) -> Any:
    grace = milliseconds(spec["grace_ms"])
    match spec["type"]:
        case "tumbling":
            return sa.Tumbling(milliseconds(spec["size_ms"]), grace=grace)
        case "hopping":
            return sa.Hopping(milliseconds(spec["size_ms"]), milliseconds(spec["advance_ms"]), grace=grace)
        case "sliding":
            return sa.Sliding(milliseconds(spec["size_ms"]), grace=grace)
        case "session":
            return sa.Session(milliseconds(spec["gap_ms"]), grace=grace)
        case other:
            raise ValueError(f"unknown window type {other!r}")


class Builder:
    """Declares one topology on one `App`, node by node, in the order of the file."""

    def __init__(self, app: Any, asynchronous: bool) -> None:
        self.app, self.asynchronous = app, asynchronous
        self.topics: dict[str, Any] = {}
        self.made: dict[str, Any] = {}                         # node id -> stream, group, table, ...

    def build(self, nodes: list[Node]) -> None:
        for node in nodes:
            operation: Callable[[Node], Any] = getattr(self, "op_" + node["op"])
            self.made[node["id"]] = operation(node)

    # -- helpers

    def of(self, node: Node) -> Any:
        return self.made[node["of"]]

    def function(self, role: str, spec: dict[str, Any]) -> Any:
        function = resolve(role, spec)
        plain = role in ("initializer", "processor") or not self.asynchronous
        return function if plain else make_async(function)

    def functions(self, node: Node, **roles: str) -> dict[str, Any]:
        """The named functions that the node has, by parameter: functions(node, merger="merger")."""
        return {name: self.function(role, node[name]) for name, role in roles.items() if name in node}

    def topic(self, node: Node) -> Any:
        name = node["topic"]
        if name not in self.topics:
            self.topics[name] = self.app.topic(
                name, key_type=type_of(node["key"]), value_type=type_of(node["value"]), partitions=1)
        return self.topics[name]

    @staticmethod
    def name(node: Node) -> dict[str, str]:
        return {"name": node["name"]} if "name" in node else {}

    # -- sources

    def op_stream(self, node: Node) -> Any:
        return self.app.stream(self.topic(node))

    def op_table(self, node: Node) -> Any:
        history = {"versioned": milliseconds(node["versioned_ms"])} if "versioned_ms" in node else {}
        return self.app.table(self.topic(node), **history)

    def op_global_table(self, node: Node) -> Any:
        return self.app.global_table(self.topic(node))

    # -- record by record

    def op_filter(self, node: Node) -> Any:
        return self.of(node).filter(self.function("predicate", node["predicate"]), **self.name(node))

    def op_filter_not(self, node: Node) -> Any:
        return self.of(node).filter_not(self.function("predicate", node["predicate"]))

    def op_map(self, node: Node) -> Any:
        return self.of(node).map(self.function("pair", node["mapper"]))

    def op_map_values(self, node: Node) -> Any:
        return self.of(node).map_values(self.function("value", node["mapper"]))

    def op_flat_map(self, node: Node) -> Any:
        return self.of(node).flat_map(self.function("pairs", node["mapper"]))

    def op_flat_map_values(self, node: Node) -> Any:
        return self.of(node).flat_map_values(self.function("values", node["mapper"]))

    def op_select_key(self, node: Node) -> Any:
        return self.of(node).select_key(self.function("selector", node["selector"]))

    def op_merge(self, node: Node) -> Any:
        return self.of(node).merge(self.made[node["with"]])

    def op_split(self, node: Node) -> Any:
        """A dict of streams; `branch` nodes pick from it."""
        split = self.of(node).split()
        for branch in node["branches"]:
            split = split.branch(self.function("predicate", branch["predicate"]), branch["name"])
        return split.default(node["default"]) if node.get("default") else split.no_default()

    def op_branch(self, node: Node) -> Any:
        return self.of(node)[node["name"]]

    def op_process(self, node: Node) -> Any:
        return self.of(node).process(self.function("processor", node["processor"]))

    def op_repartition(self, node: Node) -> Any:
        return self.of(node).repartition()

    def op_to_table(self, node: Node) -> Any:
        history = {"versioned": milliseconds(node["versioned_ms"])} if "versioned_ms" in node else {}
        return self.of(node).to_table(**history)

    def op_to_stream(self, node: Node) -> Any:
        return self.of(node).to_stream()

    def op_to(self, node: Node) -> Any:
        return self.of(node).to(self.topic(node))

    # -- grouping and aggregating

    def op_group_by_key(self, node: Node) -> Any:
        return self.of(node).group_by_key()

    def op_group_by(self, node: Node) -> Any:
        return self.of(node).group_by(self.function("selector", node["selector"]))

    def op_table_group_by(self, node: Node) -> Any:
        return self.of(node).group_by(self.function("pair", node["mapper"]))

    def op_windowed_by(self, node: Node) -> Any:
        return self.of(node).windowed_by(window_of(node["window"]))

    def op_cogroup(self, node: Node) -> Any:
        (first, *others) = node["groups"]
        cogrouped = self.made[first["of"]].cogroup(self.function("aggregator", first["adder"]))
        for other in others:
            cogrouped = cogrouped.cogroup(self.made[other["of"]], self.function("aggregator", other["adder"]))
        return cogrouped

    def op_aggregate(self, node: Node) -> Any:
        """Of a group: (initializer, adder); of a cogroup: (initializer); of a table group: and the subtractor."""
        functions = self.functions(node, initializer="initializer", adder="aggregator", subtractor="aggregator")
        keywords = self.functions(node, merger="merger") | self.emit(node) | self.name(node)
        return self.of(node).aggregate(*functions.values(), **keywords)

    def op_count(self, node: Node) -> Any:
        return self.of(node).count(**self.emit(node), **self.name(node))

    def op_reduce(self, node: Node) -> Any:
        functions = self.functions(node, adder="reducer", subtractor="reducer")
        return self.of(node).reduce(*functions.values(), **self.emit(node), **self.name(node))

    @staticmethod
    def emit(node: Node) -> dict[str, str]:
        return {"emit": "close"} if node.get("emit") == "close" else {}

    def op_suppress(self, node: Node) -> Any:
        if node["until"] == "window_closes":
            return self.of(node).suppress(sa.until_window_closes())
        bound = {"max_records": node["max_records"]} if "max_records" in node else {}
        return self.of(node).suppress(sa.until_time_limit(milliseconds(node["limit_ms"]), **bound))

    # -- joining

    def op_join(self, node: Node) -> Any:
        return self.join(self.of(node).join, node)

    def op_left_join(self, node: Node) -> Any:
        return self.join(self.of(node).left_join, node)

    def op_outer_join(self, node: Node) -> Any:
        return self.join(self.of(node).outer_join, node)

    def join(self, method: Callable[..., Any], node: Node) -> Any:
        keywords = self.functions(node, key="selector", foreign_key="selector") | self.name(node)
        if "within" in node:
            within = node["within"]
            keywords["within"] = sa.JoinWindow(
                before=milliseconds(within["before_ms"]), after=milliseconds(within["after_ms"]),
                grace=milliseconds(within["grace_ms"]))
        if "grace_ms" in node:
            keywords["grace"] = milliseconds(node["grace_ms"])
        return method(self.made[node["with"]], self.function("joiner", node["joiner"]), **keywords)


def build_app(topology: dict[str, Any], asynchronous: bool = False) -> Any:
    """A new `App` with the topology declared on it; one partition everywhere, internal topics included."""
    app = sa.App("conformance", topic_partitions=1)
    Builder(app, asynchronous).build(topology["nodes"])
    return app


def outputs_of(topology: dict[str, Any]) -> list[str]:
    """The topics to read, in the order of the file."""
    return list(dict.fromkeys(node["topic"] for node in topology["nodes"] if node["op"] == "to"))


def plain_key(key: Any) -> Any:
    """A `Windowed` as {"key", "window_start", "window_end"}; any other key as it is."""
    if isinstance(key, sa.Windowed):
        return {"key": plain_key(key.key), "window_start": key.start, "window_end": key.end}
    return key


async def play(scenario: dict[str, Any], asynchronous: bool = False) -> list[list[dict[str, Any]]]:
    """Feeds the inputs one by one; gives, per input, the records that came out: topic, key, value, timestamp."""
    topology = scenario["topology"]
    topics = outputs_of(topology)
    steps = []
    async with TestDriver(build_app(topology, asynchronous)) as driver:
        for given in scenario["inputs"]:
            if "advance_ms" in given:
                await driver.advance(seconds=given["advance_ms"] / 1000)
            else:
                await driver.send(
                    given["topic"], key=given["key"], value=given["value"], timestamp=given["timestamp"])
            steps.append([
                {"topic": topic, "key": plain_key(record.key), "value": record.value, "timestamp": record.timestamp}
                for topic in topics for record in driver.read(topic)])
    return steps
