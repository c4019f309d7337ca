"""Background work: owned, told about, and waited for."""

import asyncio

from streamz_actors.concurrency import Background


async def test_each_failure_is_told_once_and_an_end_is_not() -> None:
    told: list[BaseException] = []
    background = Background(told.append)

    async def fail() -> None:
        raise ValueError("bad")

    async def end() -> None:
        pass

    background.start(fail(), "fail")
    await background.start(end(), "end")
    await asyncio.sleep(0)
    assert [str(error) for error in told] == ["bad"]
    await background.stop()
    assert len(told) == 1


async def test_stopping_cancels_what_runs_waits_for_it_and_tells_what_fails_then() -> None:
    told: list[BaseException] = []
    background = Background(told.append)
    ended: list[str] = []

    async def work(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(name)
            if name == "b":
                raise OSError("while it ended")

    for name in "ab":
        background.start(work(name), name)
    await asyncio.sleep(0)
    await background.stop()
    assert sorted(ended) == ["a", "b"]
    assert [str(error) for error in told] == ["while it ended"]
