"""Under which keys the entries of windows lie, told in words: what has changed there makes kept entries unfindable.

A longer grace or retention changes nothing where each window has an entry of its own. Where entries are found by
segments, whose length follows the retention, it does.
"""

from streamz_actors.stores.segments import segment_length
from streamz_actors.windows.definitions import CountWindow, Hopping, Session, Sliding, Tumbling, Unlimited, Window


def arrangement_of(window: Window, retention: int | None) -> str:
    """`retention` in ms; None for what is kept for ever."""
    match window:
        case Tumbling() | Hopping():
            return f"windows of {window.size} ms, one every {window.advance} ms"
        case Unlimited():
            return f"one window from {window.start} ms on"
        case CountWindow():
            return f"windows of {window.size} records"
        case Session():
            return f"sessions, {in_segments(segment_length(retention or 0))}"
        case Sliding():
            return f"sliding windows of {window.size} ms, {in_segments(segment_length(retention or 0))}"


def in_segments(length: int) -> str:
    """`length` in ms."""
    return f"in segments of {length} ms"
