"""A schema reads and writes one side (key or value) of a topic's records: a Python type through a codec."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final


class Failed:
    """Stands in a decoded column where a record could not be decoded."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "<failed>"


FAILED: Final = Failed()
