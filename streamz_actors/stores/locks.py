"""Whether a directory's LOCK file is held, by this process or by another one, found out without taking it for long.

Locks of files are their process's: for one that this process holds itself the operating system answers that it is free,
and whoever closes such a file lets go of the lock. So what is open here is remembered here, and never asked for.
"""

import sys
from pathlib import Path
from typing import Final

_HERE: Final[set[Path]] = set()
"""Directories that are open in this process, whoever has them: its locks are all one to the operating system."""


def opened(directory: Path) -> None:
    """This process holds the lock now."""
    _HERE.add(directory)


def closed(directory: Path) -> None:
    _HERE.discard(directory)


def held(directory: Path) -> bool:
    """Where the system has no such locks, only of what is open in this process."""
    if directory in _HERE:
        return True
    if sys.platform == "win32":
        return False
    import fcntl

    try:
        with (directory / "LOCK").open("r+b") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # let go of as the file is closed
    except FileNotFoundError:
        return False
    except OSError:  # held; or nothing that we may open, which is as good as held
        return True
    return False
