"""Last known values: what is answered with `stale` while a partition's owner cannot be asked."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.pair import FIRST, SECOND, Pair, home, keys_of, pair

KEY = keys_of(2, 1)[0]
NOBODY = next(name for name in (f"n{number}" for number in range(100)) if home(name) == 2)


@pytest.fixture(params=["memory://", "rocksdb://"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair(stores=(request.param, request.param), data_dir=tmp_path) as both:
        await both.write(KEY, 5, timestamp=1_000)
        both.share()
        yield both


async def ask(pair: Pair, key: str = KEY, *, stale: bool = True) -> Any:
    return await pair.first.asking.get(f"/v1/tables/totals/{key}{'?stale=true' if stale else ''}")


async def test_while_the_owner_lives_its_value_is_the_answer(both: Pair) -> None:
    await both.second.write(KEY, 6, timestamp=500)
    answer = (await ask(both)).json
    assert (answer["value"], "stale" in answer) == ({"amount": 6}, False)


async def test_while_it_is_restored_its_owner_says_what_it_has_so_far(both: Pair) -> None:
    await both.first.give_up(2)
    await both.second.commit()
    both.share((FIRST, FIRST, -1, SECOND))
    assert (await ask(both, stale=False)).status == 503
    answer = (await ask(both)).json
    assert (answer["value"], answer["stale"], answer["timestamp"]) == ({"amount": 5}, True, 1_000)
    assert answer["partition"] == 2


async def test_who_had_the_partition_before_says_what_it_left(both: Pair) -> None:
    await both.first.give_up(2)
    both.first.forget(2)
    await both.second.give_up(2)
    both.share((FIRST, FIRST, -1, SECOND))
    refused = await ask(both, stale=False)
    assert (refused.status, "Retry-After" in refused.headers) == (503, True)
    answer = (await ask(both)).json
    assert (answer["value"], answer["worker"], answer["stale"]) == ({"amount": 5}, "second", True)


async def test_of_several_copies_the_newest_counts(both: Pair) -> None:
    await both.second.write(KEY, 7, timestamp=3_000)
    await both.first.give_up(2)
    await both.second.give_up(2)
    both.share((FIRST, FIRST, -1, SECOND))
    answer = (await ask(both)).json
    assert (answer["value"], answer["worker"], answer["stale"]) == ({"amount": 7}, "second", True)


async def test_a_dead_owners_partition_is_answered_from_files_on_this_machine(both: Pair) -> None:
    await both.first.give_up(2)
    web = both.second.running.web
    assert web is not None
    await web.stop()
    assert (await ask(both, stale=False)).status == 503
    answer = (await ask(both)).json
    assert (answer["value"], answer["worker"], answer["stale"]) == ({"amount": 5}, "first", True)


async def test_many_keys_are_answered_as_far_as_each_is_known(both: Pair) -> None:
    (live,) = keys_of(0, 1)
    await both.first.write(live, 9)
    await both.first.give_up(2)
    await both.second.give_up(2)
    both.share((FIRST, FIRST, -1, SECOND))
    answer = (await both.second.asking.post("/v1/tables/totals/query?stale=true", {"keys": [live, KEY]})).json
    assert [(entry["value"]["amount"], "stale" in entry) for entry in answer["entries"]] == [(9, False), (5, True)]


async def test_an_absent_key_is_not_known_where_copies_may_be_behind(both: Pair) -> None:
    await both.first.give_up(2)
    await both.second.give_up(2)
    both.share((FIRST, FIRST, -1, SECOND))
    assert (await ask(both, NOBODY)).status == 503


async def test_values_per_partition_need_each_partition_or_a_copy(both: Pair) -> None:
    await both.first.give_up(2)
    await both.second.give_up(2)
    both.share((FIRST, FIRST, -1, SECOND))
    answer = (await both.first.asking.get("/v1/tables/counts/2?stale=true")).json
    assert (answer["values"], answer["stale"]) == ({"2": 1}, True)
    for side in both.sides:
        side.forget(2)
    assert (await both.first.asking.get("/v1/tables/counts/2?stale=true")).status == 503


async def test_without_any_copy_it_stays_not_ready(both: Pair) -> None:
    for side in both.sides:
        await side.give_up(2)
        side.forget(2)
    both.share((FIRST, FIRST, -1, SECOND))
    answer = await ask(both)
    assert (answer.status, "Retry-After" in answer.headers) == (503, True)
