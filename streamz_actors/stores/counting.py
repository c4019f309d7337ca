"""Counting by key, over the overlay of a logged store: the aggregation that needs no function."""

from collections.abc import Callable, Sequence

from streamz_actors.stores.logged import Held

Find = Callable[[bytes], Held]
"""Gives what is held under a key that is not in the overlay."""


def counted(
    overlay: dict[bytes, Held], find: Find, keys: Sequence[bytes], timestamps: Sequence[int]
) -> list[Held]:
    """Counts one more under each key, one by one; what is held for each after it, under the later of the times."""
    counts: list[Held] = []
    for key, timestamp in zip(keys, timestamps, strict=True):
        before, _, latest = overlay.get(key) or find(key)
        if before is None:
            before, latest = 0, timestamp
        elif latest < timestamp:
            latest = timestamp
        overlay[key] = held = (before + 1, None, latest)
        counts.append(held)
    return counts
