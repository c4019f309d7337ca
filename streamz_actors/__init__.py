"""Stream processing for Python services: async agents and a Kafka Streams grade DSL on one state layer."""

from streamz_actors.agents.agent import Agent
from streamz_actors.agents.channel import Channel
from streamz_actors.agents.stream import AgentStream
from streamz_actors.app import App
from streamz_actors.dataflow.context import current_event
from streamz_actors.dataflow.event import Event, Out
from streamz_actors.dataflow.late import Late
from streamz_actors.dataflow.policies import DeadLetter, Fail, Retry, Skip
from streamz_actors.dataflow.topics import Topic
from streamz_actors.serde.codecs import register_codec
from streamz_actors.serde.models import Record
from streamz_actors.streams.global_table import GlobalTable
from streamz_actors.streams.set_table import SetTable
from streamz_actors.streams.stream import (
    GroupedStream,
    GroupedTable,
    Stream,
    Table,
    VersionedTable,
    WindowedStream,
    WindowedTable,
)
from streamz_actors.streams.windowed_table import WindowSet, WindowTable
from streamz_actors.types import RecordMetadata, Windowed, WindowValue
from streamz_actors.windows.definitions import CountWindow, Hopping, JoinWindow, Session, Sliding, Tumbling, Unlimited
from streamz_actors.windows.suppression import until_time_limit, until_window_closes

__all__ = [
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
]
