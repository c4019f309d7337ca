"""The root package's `__all__` is the public API: complete, in order, and changed only on purpose."""

from types import ModuleType

import streamz_actors

PUBLIC = {
    "Agent",
    "AgentStream",
    "App",
    "Channel",
    "CountWindow",
    "DeadLetter",
    "Event",
    "Fail",
    "GlobalTable",
    "GroupedStream",
    "GroupedTable",
    "Hopping",
    "JoinWindow",
    "Late",
    "Out",
    "Record",
    "RecordMetadata",
    "Retry",
    "Session",
    "SetTable",
    "Skip",
    "Sliding",
    "Stream",
    "Table",
    "Topic",
    "Tumbling",
    "Unlimited",
    "VersionedTable",
    "WindowSet",
    "WindowTable",
    "WindowValue",
    "Windowed",
    "WindowedStream",
    "WindowedTable",
    "current_event",
    "register_codec",
    "until_time_limit",
    "until_window_closes",
}
"""Names that users may import; the contract. To add one is a feature, to take one away needs a decision record."""


def test_the_public_names_are_those_that_were_agreed_on() -> None:
    assert set(streamz_actors.__all__) == PUBLIC


def test_no_public_name_is_listed_twice() -> None:
    assert len(streamz_actors.__all__) == len(set(streamz_actors.__all__))


def test_the_root_holds_no_other_public_name() -> None:
    held = {
        name
        for name, value in vars(streamz_actors).items()
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }
    assert held <= PUBLIC


def test_every_public_thing_is_ours_and_documented() -> None:
    for name in streamz_actors.__all__:
        thing = getattr(streamz_actors, name)
        assert thing.__module__.startswith("streamz_actors."), name
        assert thing.__doc__, name
