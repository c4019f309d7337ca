"""What a campaign is about: an application, the load it is given, and what must come of that load."""

from collections.abc import Mapping
from typing import Protocol

from streamz_actors.transport.abc import Transport


class Subject(Protocol):
    @property
    def app(self) -> str:
        """As `app -A` takes it."""
        ...

    @property
    def group(self) -> str:
        """The application's id."""
        ...

    @property
    def sources(self) -> tuple[str, ...]:
        """Topics whose every record is to be done in the end."""
        ...

    @property
    def tables(self) -> tuple[str, ...]:
        """Tables with keys of text that can be listed over HTTP."""
        ...

    @property
    def settings(self) -> Mapping[str, str]:
        """Of the workers' environment."""
        ...

    async def prepare(self, kafka: Transport) -> None:
        """What must be there before the first worker starts."""
        ...

    async def feed(self, kafka: Transport) -> None:
        """Goes on until `finish`; then what it has begun is sent whole."""
        ...

    def finish(self) -> None: ...

    async def violations(self, kafka: Transport, *, exact: bool) -> list[str]:
        """What is not as it must be, a line for each: under exactly-once if `exact`, else under at-least-once."""
        ...

    async def remarks(self, kafka: Transport) -> list[str]:
        """What should be known of the load itself."""
        ...
