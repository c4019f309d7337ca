"""Topics that are gone: brokers answer, and do not know them. They may be made anew; so it is waited for a while.

    there ──a broker doesn't know it──▶ missed ──for `limit` seconds──▶ gone: what is sent is refused at once
      ▲                                   │ a broker knows it                         │
      └───────────────────────────────────┴───────────────────────────────────────────┘
"""

import logging
from typing import Any

from streamz_actors.clock import Clock

log = logging.getLogger(__name__)

SETTLING = 3.0
"""Seconds that a topic may take to become known to the brokers after it was created."""


class Gone(LookupError):
    """There is no such topic: nothing that is sent there is written, until somebody makes it anew."""


class Absences:
    """`limit`: seconds for which a topic that was there is waited for."""

    def __init__(self, client: Any, clock: Clock, limit: float) -> None:
        self._client, self._clock, self._limit = client, clock, limit
        self._there: set[str] = set()
        """Topics that were there at some time."""
        self._since: dict[str, float] = {}

    def check(self, topic: str, answered: bool | None = None) -> bool:
        """Whether a topic is there, as far as is known. `answered`: whether a broker has just said what there is; None:
        nobody was asked.

        Raises Gone if it was missed for long enough.
        """
        cluster = self._client.cluster
        if cluster.partitions_for_topic(topic):
            if self._since.pop(topic, None) is not None and topic in self._there:
                log.info("topic %r is there again", topic)
            self._there.add(topic)
            return True
        if answered is None:
            return False
        if not answered or topic in cluster.unauthorized_topics:
            # Nothing is known. Brokers that come back from an outage may need time to know all topics.
            self._since.pop(topic, None)
            return False
        now, was_there = self._clock.monotonic(), topic in self._there
        limit = self._limit if was_there else SETTLING
        if was_there and topic not in self._since:
            log.warning("topic %r is gone: records for it wait for %g s, it may be made anew", topic, limit)
        missed = now - self._since.setdefault(topic, now)
        if missed < limit:
            return False
        if was_there:
            raise Gone(f"there is no such topic any more, for {missed:.0f} s; make it anew")
        raise Gone("there is no such topic; create it first")
