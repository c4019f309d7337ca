"""The token of the setting `web_token`: who needs it, and that workers show it to each other."""

import pytest

from streamz_actors.web.pages import Page
from tests.scenarios.pair import keys_of, pair
from tests.unit.web.client import client
from tests.unit.web.test_server import server

RIGHT = {"Authorization": "Bearer s3cret"}
GUARDED = ["/v1/tables", "/v1/tables/totals/a", "/v1/cluster", "/v1/topology", "/metrics", "/", "/mine", "/nothing"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Basic s3cret"},
        {"Authorization": "s3cret"},
        {"Authorization": "Bearer s3cre\u00fc"},
    ],
)
async def test_nothing_but_health_is_answered_without_the_token(headers: dict[str, str]) -> None:
    web = server(Page("/mine", lambda request: 1), web_token="s3cret")
    await web.start()
    async with client(web.url) as asking:
        for path in GUARDED:
            answer = await asking.ask("GET", path, headers=headers)
            assert (path, answer.status, answer.type) == (path, 401, "application/problem+json")
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
            assert "s3cret" not in answer.text
        posted = await asking.ask("POST", "/v1/internal/values", headers=headers)
        health = [(await asking.ask("GET", path, headers=headers)).status for path in ("/livez", "/readyz", "/health")]
    await web.stop()
    assert (posted.status, health) == (401, [200, 503, 503])


async def test_with_the_token_all_is_as_without_one() -> None:
    web = server(Page("/mine", lambda request: 1), web_token="s3cret")
    await web.start()
    async with client(web.url) as asking:
        statuses = [(await asking.ask("GET", path, headers=RIGHT)).status for path in GUARDED]
        lower = await asking.ask("GET", "/mine", headers={"Authorization": "bearer s3cret"})
    await web.stop()
    assert statuses == [200, 503, 503, 200, 200, 200, 200, 404]
    assert lower.status == 200


async def test_workers_show_the_token_to_each_other() -> None:
    (key,) = keys_of(2, 1)
    async with pair(web_token="s3cret") as both:
        await both.write(key, 5)
        both.share()
        path = f"/v1/tables/totals/{key}"
        assert (await both.first.asking.ask("GET", path, headers=RIGHT)).json["worker"] == "second"
        assert (await both.first.asking.get(path)).status == 401
