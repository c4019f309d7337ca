"""Tables of windows over HTTP: the windows of one key; everything else is refused with a reason."""

from collections.abc import AsyncIterator

import pytest

from streamz_actors import App, Tumbling
from tests.unit.web.client import Client, client


@pytest.fixture
async def asking() -> AsyncIterator[Client]:
    """Counts of `alice` in the minutes 0, 1 and 3; `plain` has no windows."""
    app = App("shop", web_port=0, topic_partitions=3)
    orders = app.topic("orders", key_type=str, value_type=float)
    grouped = app.stream(orders).group_by_key()
    grouped.windowed_by(Tumbling(60)).count("minutes", retention=3_600)
    grouped.count("plain")
    async with app.running() as running:
        assert running.web is not None
        for moment in (5_000, 61_000, 59_000, 180_000):
            await orders.send(value=1.0, key="alice", timestamp=moment)
        async with client(running.web.url) as asking:
            while (await asking.get("/v1/tables/plain/alice")).json.get("value") != 4:
                pass
            yield asking


def starts(answer: object) -> list[int]:
    assert isinstance(answer, dict)
    return [window["start"] for window in answer["windows"]]


async def test_a_key_answers_with_its_windows(asking: Client) -> None:
    answer = await asking.get("/v1/tables/minutes/alice")
    assert list(answer.json) == ["table", "key", "windows", "partition", "worker"]
    assert (answer.json["table"], answer.json["key"]) == ("minutes", "alice")
    assert answer.json["windows"] == [
        {"start": 0, "end": 60_000, "value": 1, "timestamp": 5_000},
        {"start": 60_000, "end": 120_000, "value": 1, "timestamp": 61_000},
        {"start": 180_000, "end": 240_000, "value": 1, "timestamp": 180_000},
    ]


async def test_windows_are_asked_for_by_their_starts(asking: Client) -> None:
    assert starts((await asking.get("/v1/tables/minutes/alice?window_from=1&window_to=180000")).json) == [60_000]
    assert starts((await asking.get("/v1/tables/minutes/alice?window_from=60000")).json) == [60_000, 180_000]
    assert starts((await asking.get("/v1/tables/minutes/alice?window_to=60000")).json) == [0]


async def test_no_window_is_as_no_key(asking: Client) -> None:
    assert (await asking.get("/v1/tables/minutes/bob")).status == 404
    assert (await asking.get("/v1/tables/minutes/alice?window_from=999000")).status == 404


async def test_the_listing_of_tables_says_which_hold_windows(asking: Client) -> None:
    listed = {table["name"]: table for table in (await asking.get("/v1/tables")).json["tables"]}
    assert (listed["minutes"]["kind"], listed["minutes"]["value_type"]) == ("windowed", "int")
    assert listed["plain"]["kind"] == "table"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/v1/tables/minutes", "holds windows, which are not listed"),
        ("/v1/tables/minutes/alice?stale=true", "there are no copies"),
        ("/v1/tables/minutes/alice?window_from=yesterday", "milliseconds since the epoch are wanted"),
        ("/v1/tables/plain/alice?window_from=0", "has no windows"),
    ],
)
async def test_what_windows_cannot_answer_is_refused_with_the_reason(asking: Client, path: str, reason: str) -> None:
    answer = await asking.get(path)
    assert answer.status == 400
    assert reason in answer.json["detail"]


async def test_many_keys_at_once_are_refused(asking: Client) -> None:
    answer = await asking.post("/v1/tables/minutes/query", {"keys": ["alice"]})
    assert answer.status == 400
    assert "by many keys at once" in answer.json["detail"]
