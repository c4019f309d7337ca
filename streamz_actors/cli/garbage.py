"""The garbage collector of a worker process: what start-up made is taken out of its sight, and it looks less often."""

import gc

YOUNG = 200_000
"""Container objects made (less those gone) between two collections of the youngest.

Python's default is some hundreds to thousands, which a batch of decoded records exceeds at once: each run then walks
records that are alive and will be gone, without any collector, a moment later. What lives on is walked once
in any case: windows that are kept as objects made that a seventh of the time at a quarter of this number.
"""


def settle() -> None:
    """Called once the worker is ready: modules, topology and clients stay, so nothing of them need be walked again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
