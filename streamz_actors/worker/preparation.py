"""What a worker does before it touches any state.

    1  topics that are missing are made, those that exist are checked   (`provision`)
    2  what former releases wrote down of their state is compared with what this one would read
    3  what this one keeps is written down, where that is new
"""

import logging

from streamz_actors.errors import TopicMismatch
from streamz_actors.transport.abc import Transport
from streamz_actors.worker.compatibility import evolved, unreadable
from streamz_actors.worker.descriptions import described, read_descriptions, write_descriptions
from streamz_actors.worker.provision import Provision, provision
from streamz_actors.worker.spec import Spec

logger = logging.getLogger("streamz_actors.worker")


async def prepare(transport: Transport, spec: Spec, now: int) -> Provision:
    """`now` in ms. Raises TopicMismatch for what is not as declared, and for state that would be read wrongly."""
    # 1
    provided = await provision(transport.admin, spec)
    mine = described(spec, provided.topics)
    if transport.embedded or not mine:  # that broker's state ends with the process: no other release meets it
        return provided
    # 2
    kept = await read_descriptions(transport, spec.app_id)
    for finding in unreadable(mine, kept):
        raise TopicMismatch(f"{finding.subject}: {finding.message} (`app check` shows all, `app reset` resets)")
    for finding in evolved(mine, kept):
        logger.warning("%s: %s", finding.subject, finding.message)
    # 3
    new = [one for name, one in mine.items() if kept.get(name) != one]
    if new:
        await write_descriptions(transport, spec.app_id, new, now, spec.settings.topic_replication_factor)
    return provided
