"""An application with every operator over event time, on two inputs, and rows for it that come out of order."""

import random
from typing import Any

from streamz_actors import (
    App,
    CountWindow,
    Hopping,
    JoinWindow,
    Session,
    Sliding,
    Stream,
    Tumbling,
    Unlimited,
    Windowed,
    until_time_limit,
    until_window_closes,
)
from tests.kafka_server import FOREVER

Row = tuple[str, str, int | None, int]
"""Topic, key, value, timestamp."""

UNORDERED = ("foreign", "slow", "passed")
"""Outputs of these come in the order in which something else answers."""


def added(_: str, value: int, total: int) -> int:
    return total + (value or 0)


async def slowly_added(key: str, value: int, total: int) -> int:
    return added(key, value, total)


def pair(one: Any, other: Any) -> list[Any]:
    return [one, other]


def make() -> App:
    app = App("every", topic_partitions=1)
    left = app.topic("left", key_type=str, value_type=int, partitions=1)
    right = app.topic("right", key_type=str, value_type=int, partitions=1)

    def out(name: str, stream: Stream[Any, Any], key: Any = Windowed[str], value: Any = Any) -> None:
        stream.to(app.topic(f"out-{name}", key_type=key, value_type=value, partitions=1, config=FOREVER))

    lefts, rights = app.stream(left), app.stream(right)
    grouped = lefts.group_by_key()
    _windows(grouped, rights.group_by_key(), out)
    _joins(app, lefts, rights, out)
    _agents(app, lefts, out)
    return app


def _windows(grouped: Any, others: Any, out: Any) -> None:
    for emit in ("update", "close"):
        minute = grouped.windowed_by(Tumbling(60, grace=30))
        out(f"tumbling-{emit}", minute.aggregate(int, added, name=f"tumbling-{emit}", emit=emit).to_stream())
        hopping = grouped.windowed_by(Hopping(60, 20, grace=30))
        out(f"hopping-{emit}", hopping.count(f"hopping-{emit}", emit=emit).to_stream())
        sliding = grouped.windowed_by(Sliding(40, grace=30))
        out(f"sliding-{emit}", sliding.aggregate(int, added, name=f"sliding-{emit}", emit=emit).to_stream())
        session = grouped.windowed_by(Session(15, grace=30))
        out(f"session-{emit}", session.count(f"session-{emit}", emit=emit).to_stream())
    out("unlimited", grouped.windowed_by(Unlimited()).count("unlimited").to_stream())
    out("three", grouped.windowed_by(CountWindow(3)).aggregate(int, slowly_added, name="three").to_stream())
    both = grouped.cogroup(added).cogroup(others, added).windowed_by(Tumbling(60, grace=30))
    out("both", both.aggregate(int, "both").to_stream())
    closed = grouped.windowed_by(Tumbling(60, grace=30)).count("once")
    out("once", closed.suppress(until_window_closes()).to_stream())
    out("seldom", grouped.count("seldom").suppress(until_time_limit(20)).to_stream(), str)


def _joins(app: App, lefts: Any, rights: Any, out: Any) -> None:
    within = JoinWindow(before=10, after=20, grace=15)
    for how in ("join", "left_join", "outer_join"):
        out(f"streams-{how}", getattr(lefts, how)(rights, pair, within=within, name=f"streams-{how}"), str)
    table = rights.to_table("latest")
    history = rights.to_table("history", versioned=3_600)
    out("lookup", lefts.left_join(table, pair), str)
    out("as-of", lefts.left_join(history, pair, grace=20, name="as-of"), str)
    own = lefts.to_table("own")
    for how in ("join", "left_join", "outer_join"):
        out(f"tables-{how}", getattr(own, how)(table, pair, name=f"tables-{how}").to_stream(), str)
    foreign = own.left_join(table, pair, foreign_key=lambda key, value: "abcd"[value % 4], name="foreign")
    out("foreign", foreign.to_stream(), str)
    parity = own.group_by(lambda key, value: (str(value % 2), value), key_type=str, value_type=int)
    out("parity", parity.reduce(lambda a, b: a + b, lambda a, b: a - b, name="parity").to_stream(), str)


def _agents(app: App, lefts: Any, out: Any) -> None:
    recent = app.table("recent", key_type=str, value_type=int, default=int).hopping(60, 20, expires=600)

    async def passing(stream: Any) -> Any:
        async for key, value in stream.items():
            recent[key] += value or 0
            yield [recent[key].now(), recent[key].delta(40)]

    async def doubled(value: int | None) -> int:
        return 2 * (value or 0)

    out("slow", lefts.map_async(doubled, concurrency=8), str)
    out("passed", lefts.through_agent(passing, value_type=list), str)


def rows(count: int = 160, seed: int = 5) -> list[Row]:
    """Times go on by some seconds, up to 40 s out of order, with some keys' tombstones; no two are equal."""
    draw = random.Random(seed)
    times = draw.sample(range(count), count)
    found: list[Row] = []
    for number, spot in enumerate(sorted(times, key=lambda at: at + draw.randrange(8))):
        topic = draw.choice(["left", "left", "right"])
        value = None if draw.random() < 0.1 else draw.randrange(100)
        found.append((topic, draw.choice("abc"), value, 1_000_000 + 5_000 * spot + number))
    return found
