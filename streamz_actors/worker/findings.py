"""What is told of a release and the state that it finds: how bad, of what, and what to do."""

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """In the order in which they are shown."""

    INCOMPATIBLE = "incompatible"
    """A worker of this release fails, or would read state wrongly."""
    ORPHANED = "orphaned"
    """It stays behind: nobody reads it any more."""
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    severity: Severity
    subject: str
    """The topic, table or task."""
    message: str


def incompatible(subject: str, message: str) -> Finding:
    return Finding(Severity.INCOMPATIBLE, subject, message)


def orphaned(subject: str, message: str) -> Finding:
    return Finding(Severity.ORPHANED, subject, message)


def note(subject: str, message: str) -> Finding:
    return Finding(Severity.NOTE, subject, message)
