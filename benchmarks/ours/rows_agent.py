"""W6 and W7: a table of accounts that an agent keeps; its content comes from the changelog."""

from benchmarks.ours.accounts import Account
from benchmarks.ours.base import INPUT, make_app, topic
from streamz_actors import AgentStream

app = make_app()
rows = app.table("rows", key_type=str, value_type=Account)


@app.agent(topic(app, INPUT, Account))
async def keep(stream: AgentStream[str, Account]) -> None:
    async for key, account in stream.items():
        rows[key] = account
