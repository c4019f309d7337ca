"""`isolation=committed`: what is not committed yet is left out, whoever is asked."""

import pytest

from tests.scenarios.pair import keys_of, pair


@pytest.mark.parametrize("asked", ["first", "second"])
async def test_a_value_is_shown_as_it_is_committed(asked: str) -> None:
    (key,) = keys_of(0, 1)
    async with pair() as both:
        side = both.first if asked == "first" else both.second
        await both.write(key, 1)
        both.share()
        path = f"/v1/tables/totals/{key}"
        assert (await side.asking.get(f"{path}?isolation=committed")).status == 404
        assert (await side.asking.get(f"{path}?isolation=latest")).json["value"] == {"amount": 1}
        await both.first.commit()
        await both.first.write(key, 2)
        assert (await side.asking.get(f"{path}?isolation=committed")).json["value"] == {"amount": 1}
        assert (await side.asking.get(path)).json["value"] == {"amount": 2}
        many = await side.asking.ask("POST", "/v1/tables/totals/query?isolation=committed", json={"keys": [key]})
        assert [entry["value"] for entry in many.json["entries"]] == [{"amount": 1}]


async def test_windows_are_not_shown_so() -> None:
    async with pair() as both:
        answer = await both.first.asking.get("/v1/tables/seconds/a?isolation=committed")
        assert answer.status == 400
        assert "isolation=committed" in answer.json["detail"]
