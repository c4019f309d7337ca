"""Queries of keys that another worker has: over HTTP, once, and merged."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from streamz_actors import App
from streamz_actors.errors import NotReady
from tests.scenarios.pair import COUNT, FIRST, HALVES, SECOND, Pair, Total, home, keys_of, pair

NAMES = [f"k{number:03}" for number in range(30)]


@pytest.fixture
async def shared() -> AsyncIterator[Pair]:
    """Thirty keys on two workers, and one key in a partition that is not its hash's."""
    async with pair() as both:
        for number, name in enumerate(NAMES):
            await both.write(name, number)
        await both.write("astray", 99, partition=(home("astray") + 2) % COUNT)
        both.share()
        yield both


async def test_any_worker_answers_for_any_key(shared: Pair) -> None:
    for side in shared.sides:
        for number, name in enumerate(NAMES):
            answer = (await side.asking.get(f"/v1/tables/totals/{name}")).json
            owner = shared.sides[HALVES[home(name)]].worker.name
            assert (answer["value"], answer["partition"], answer["worker"]) == ({"amount": number}, home(name), owner)
            assert (answer["timestamp"], "stale" in answer) == (1_000, False)


async def test_a_lookup_from_code_gives_typed_values(shared: Pair) -> None:
    (elsewhere,) = keys_of(2, 1)
    assert await shared.first.running.lookup("totals", elsewhere) == Total(NAMES.index(elsewhere))
    assert await shared.first.running.lookup("totals", "nobody") is None


async def test_windows_of_a_key_come_from_its_owner(shared: Pair) -> None:
    (elsewhere,) = keys_of(2, 1)
    for side in shared.sides:
        answer = (await side.asking.get(f"/v1/tables/seconds/{elsewhere}?window_from=1&window_to=2000")).json
        assert answer["windows"] == [{"start": 1_000, "end": 2_000, "value": 1, "timestamp": 1_000}]
        assert answer["worker"] == shared.second.worker.name
        assert (await side.asking.get(f"/v1/tables/seconds/{elsewhere}?window_from=2000")).status == 404
    assert await shared.first.running.windows("seconds", elsewhere, None, None) == [(1_000, 2_000, 1, 1_000)]


async def test_many_keys_take_one_request_to_each_owner(shared: Pair) -> None:
    wanted = ["nobody", *NAMES]
    answer = (await shared.first.asking.post("/v1/tables/totals/query", {"keys": wanted})).json
    assert [entry["key"] for entry in answer["entries"]] == NAMES
    assert answer["missing"] == ["nobody"]
    assert shared.second.requests == [1, 1]  # the second for the key that was not where its hash says


async def test_a_key_is_found_where_its_producer_has_put_it(shared: Pair) -> None:
    for side in shared.sides:
        assert (await side.asking.get("/v1/tables/totals/astray")).json["value"] == {"amount": 99}


async def test_an_absent_key_is_absent_once_all_owners_say_so(shared: Pair) -> None:
    for side in shared.sides:
        assert (await side.asking.get("/v1/tables/totals/nobody")).status == 404


async def test_values_of_all_partitions_are_gathered(shared: Pair) -> None:
    answers = [(await side.asking.get("/v1/tables/counts/1")).json for side in shared.sides]
    assert answers[0]["values"] == answers[1]["values"]
    assert sum(answers[0]["values"].values()) == 10
    assert set(answers[0]["values"]) <= {str(number) for number in range(COUNT)}
    assert (await shared.first.asking.get("/v1/tables/counts/7")).status == 404


async def test_global_tables_are_never_asked_for_elsewhere(shared: Pair) -> None:
    assert (await shared.first.asking.get("/v1/tables/rates/EUR")).status == 404
    assert shared.second.requests == []


async def test_questions_of_one_moment_travel_together(shared: Pair) -> None:
    keys = keys_of(2) + keys_of(3)
    await asyncio.gather(*(shared.first.running.queries.get("totals", key) for key in keys))
    assert shared.second.requests == [len(keys)]


async def pages(pair: Pair, sides: list[int], path: str, moves: Sequence[tuple[int, ...]] = ()) -> list[Any]:
    """The rows of a listing, page by page from these sides in turn; before each further page, owners change."""
    rows: list[Any] = []
    cursor: str | None = ""
    turn = 0
    while cursor is not None:
        if moves and turn:
            pair.share(moves[turn % len(moves)])
        behind = f"&cursor={cursor}" if cursor else ""
        answer = await pair.sides[sides[turn % len(sides)]].asking.get(f"{path}{behind}")
        assert answer.status == 200, answer.text
        rows += answer.json["entries"]
        cursor = answer.json["cursor"]
        turn += 1
    return rows


@pytest.mark.parametrize("sides", [[FIRST], [SECOND], [FIRST, SECOND]])
@pytest.mark.parametrize("limit", [1, 7, 1_000])
async def test_a_listing_is_all_rows_in_key_order_from_any_worker(
    shared: Pair, sides: list[int], limit: int
) -> None:
    rows = await pages(shared, sides, f"/v1/tables/totals?limit={limit}")
    assert [row["key"] for row in rows] == ["astray", *NAMES]
    assert [row["value"]["amount"] for row in rows] == [99, *range(30)]


async def test_a_listing_keeps_to_its_bounds_on_all_workers(shared: Pair) -> None:
    rows = await pages(shared, [FIRST], "/v1/tables/totals?limit=3&from=k005&to=k012")
    assert [row["key"] for row in rows] == NAMES[5:12]
    rows = await pages(shared, [SECOND], "/v1/tables/totals?limit=3&prefix=k01")
    assert [row["key"] for row in rows] == NAMES[10:20]
    rows = await pages(shared, [SECOND], "/v1/tables/counts?from=1&to=2")
    assert [(row["key"], sum(row["values"].values())) for row in rows] == [(1, 10)]


async def test_pages_fit_together_when_partitions_move_between_them(shared: Pair) -> None:
    moves = [HALVES, (SECOND, FIRST, FIRST, SECOND), (FIRST,) * 4, (SECOND,) * 4]
    rows = await pages(shared, [FIRST, SECOND], "/v1/tables/totals?limit=4", moves)
    assert [row["key"] for row in rows] == ["astray", *NAMES]


async def test_short_pages_of_one_owner_hide_nothing_of_the_others(
    shared: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamz_actors.query.scan.SCAN", 2)
    rows = await pages(shared, [FIRST, SECOND], "/v1/tables/totals?limit=100")
    assert [row["key"] for row in rows] == ["astray", *NAMES]


async def test_a_worker_that_is_asked_asks_nobody_else(shared: Pair) -> None:
    (key,) = keys_of(0, 1)
    shared.share((-1,) * COUNT)
    shared.tell(shared.first, (SECOND,) * COUNT)
    shared.tell(shared.second, (FIRST,) * COUNT)
    answer = await shared.first.asking.get(f"/v1/tables/totals/{key}")
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    assert "worker second" in answer.json["detail"]
    assert (shared.first.requests, shared.second.requests) == ([], [1])


@pytest.mark.parametrize("path", ["/v1/tables/totals/{key}", "/v1/tables/totals?limit=50", "/v1/tables/counts/1"])
async def test_who_was_told_of_new_owners_meanwhile_asks_once_more(
    shared: Pair, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = keys_of(2, 1)
    queries = shared.second.running.queries
    answers, page = queries.answers, queries.page

    def moved() -> None:
        shared.share((FIRST,) * COUNT)

    async def answers_late(asks: Any) -> Any:
        moved()
        return await answers(asks)

    def page_late(scan: Any) -> Any:
        moved()
        return page(scan)

    monkeypatch.setattr(queries, "answers", answers_late)
    monkeypatch.setattr(queries, "page", page_late)
    answer = await shared.first.asking.get(path.format(key=key))
    assert answer.status == 200


async def test_an_owner_that_is_gone_is_not_ready(shared: Pair) -> None:
    gone, here = keys_of(2, 1)[0], keys_of(0, 1)[0]
    web = shared.second.running.web
    assert web is not None
    await web.stop()
    answer = await shared.first.asking.get(f"/v1/tables/totals/{gone}")
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)
    assert "worker second at http://" in answer.json["detail"]
    assert (await shared.first.asking.get("/v1/tables/totals")).status == 503
    assert (await shared.first.asking.post("/v1/tables/totals/query", {"keys": [gone, here]})).status == 503
    assert (await shared.first.asking.get(f"/v1/tables/totals/{here}")).status == 200


async def test_an_owner_that_hangs_is_a_timeout(shared: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def hang(asks: Any) -> Any:
        asked.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(shared.second.running.queries, "answers", hang)
    (key,) = keys_of(2, 1)
    answer = await shared.first.asking.ask(
        "GET", f"/v1/tables/totals/{key}", headers={"Streamz-Time-Left": "200"}
    )
    assert (answer.status, asked.is_set()) == (504, True)
    assert "no answer within 0.2 s" in answer.json["detail"]


async def test_a_lost_connection_is_made_again(shared: Pair) -> None:
    (key,) = keys_of(2, 1)
    assert await shared.first.running.lookup("totals", key) is not None
    web, worker = shared.second.running.web, shared.second.worker
    assert web is not None
    port = int(worker.address.rpartition(":")[2])
    await web.stop()
    object.__setattr__(worker.spec.settings, "web_port", port)
    await web.start()
    assert await shared.first.running.lookup("totals", key) is not None


async def test_an_address_that_another_application_has_taken_is_not_ready(shared: Pair) -> None:
    (key,) = keys_of(2, 1)
    stranger = App("other", web_port=0).worker()
    assert stranger.web is not None
    await stranger.web.start()
    shared.second.worker.address = stranger.web.url
    shared.tell(shared.first, HALVES)
    with pytest.raises(NotReady, match=r"worker second at .* does not say: it answers 421"):
        await shared.first.running.queries.get("totals", key)
    await stranger.web.stop()


@pytest.mark.parametrize("stale", ["", "?stale=true"])
async def test_a_worker_of_another_release_may_lack_a_table(
    shared: Pair, stale: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (key,) = keys_of(2, 1)
    await shared.first.commit()
    monkeypatch.delitem(shared.second.running.queries.local.access._tables, "totals")
    answer = await shared.first.asking.get(f"/v1/tables/totals/{key}{stale}")
    assert answer.status == (503 if not stale else 200)
    assert stale or "worker second: there is no table 'totals'" in answer.json["detail"]
    assert (await shared.first.asking.get("/v1/tables/totals")).status == 503


@pytest.mark.parametrize(
    ("type_", "body", "status"),
    [("application/json", b"{}", 415), ("application/msgpack", b"\xc1", 422), ("application/msgpack", b"", 422)],
)
@pytest.mark.parametrize("path", ["values", "entries"])
async def test_what_is_no_question_of_a_worker_is_refused(
    shared: Pair, path: str, type_: str, body: bytes, status: int
) -> None:
    answer = await shared.first.asking.ask(
        "POST", f"/v1/internal/{path}", data=body, headers={"Content-Type": type_}
    )
    assert answer.status == status


@pytest.mark.parametrize("path", ["/v1/tables/totals/a?stale=yes", "/v1/tables/totals/a?isolation=yes",
                                  "/v1/tables/totals?stale=true", "/v1/tables/totals?isolation=committed"])
async def test_options_that_are_not_there_are_refused(shared: Pair, path: str) -> None:
    assert (await shared.first.asking.get(path)).status == 400


async def test_the_cluster_is_known_to_every_worker(shared: Pair) -> None:
    answers = [(await side.asking.get("/v1/cluster")).json for side in shared.sides]
    assert [answer.pop("worker") for answer in answers] == ["first", "second"]
    assert answers[0] == answers[1]
    said = answers[0]
    assert (said["app"], said["leader"]) == ("shop", "first")
    assert [(one["name"], one["leader"], one["tasks"]) for one in said["workers"]] == [
        ("first", True, ["orders-0", "orders-1"]),
        ("second", False, ["orders-2", "orders-3"]),
    ]
    assert [one["address"] for one in said["workers"]] == [side.worker.address for side in shared.sides]
    owners = ["first", "first", "second", "second"]
    nobody: list[list[str]] = [[], [], [], []]
    assert said["subtopologies"] == [{"name": "orders", "partitions": 4, "owners": owners, "standbys": nobody}]
    assert said["copies"] == []
    assert {table["name"]: table["owners"] for table in said["tables"]} == {
        "counts": owners,
        "rates": [],
        "seconds": owners,
        "totals": owners,
    }


async def test_tables_say_how_much_there_is_and_how_much_is_here(shared: Pair) -> None:
    tables = (await shared.second.asking.get("/v1/tables")).json["tables"]
    (totals,) = [table for table in tables if table["name"] == "totals"]
    assert (totals["partitions"], totals["here"]) == (4, [2, 3])
