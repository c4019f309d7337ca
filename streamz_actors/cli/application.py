"""The application as the command line sees it."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from streamz_actors.agents.agent import Agent
from streamz_actors.config import Settings
from streamz_actors.dataflow.describe import Description
from streamz_actors.dataflow.topics import Topic
from streamz_actors.web.siblings import Siblings
from streamz_actors.worker.spec import Spec
from streamz_actors.worker.worker import Worker


class Run(Protocol):
    """One run of an application."""

    @property
    def worker(self) -> Worker: ...

    async def run(self) -> None: ...

    async def ready(self) -> None: ...

    def stop(self) -> None: ...


@runtime_checkable
class Application(Protocol):
    @property
    def id(self) -> str: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def agents(self) -> tuple[Agent[Any], ...]: ...

    @property
    def topics(self) -> tuple[Topic[Any, Any], ...]: ...

    @property
    def commands(self) -> Mapping[str, Callable[..., Any]]: ...

    def topology(self) -> Description: ...

    def spec(self, settings: Settings | None = None) -> Spec:
        """Everything that a worker of these settings would be given."""
        ...

    def worker(self, *, bounded: bool = False, siblings: Siblings | None = None, **overrides: Any) -> Run:
        """Overrides are settings as the command line gives them."""
        ...
