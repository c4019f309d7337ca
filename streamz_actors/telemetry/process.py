"""What the operating system says of this process."""

import os
from pathlib import Path

_STATM = Path("/proc/self/statm")


def cpu_seconds() -> float:
    """Processor time used so far, by user and system code together."""
    times = os.times()
    return times.user + times.system


def resident_bytes() -> int | None:
    """Memory held now; None where the system does not tell (it does on Linux)."""
    if not _STATM.exists():
        return None
    pages = int(_STATM.read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
