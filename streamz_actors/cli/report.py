"""What the command line says of an error: one line, and where in the user's code it arose."""

import sysconfig
import traceback
from pathlib import Path

from streamz_actors.errors import HandlerError, StreamzError

PACKAGE = Path(__file__).resolve().parents[1]
_FOREIGN = ("site-packages", "dist-packages", sysconfig.get_path("stdlib"))


def one_line(error: BaseException) -> str:
    """Message and place of an error, without line breaks."""
    if isinstance(error, HandlerError):
        return _flat(f"{error}{_place(error.cause)}")
    if isinstance(error, StreamzError):
        return _flat(str(error))
    return explained(error)


def explained(error: BaseException) -> str:
    """An error that is not the framework's: `ValueError: no such thing (shop/orders.py, line 12)`."""
    text = str(error)
    return _flat(f"{type(error).__name__}: {text}{_place(error)}" if text else f"{type(error).__name__}{_place(error)}")


def _flat(text: str) -> str:
    return " ".join(text.split())


def _place(error: BaseException) -> str:
    """The innermost line of the user's code that the error came through, if there is one."""
    if isinstance(error, SyntaxError):
        return ""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_users(frame.filename):
            return f" ({_short(frame.filename)}, line {frame.lineno})"
    return ""


def _is_users(filename: str) -> bool:
    path = Path(filename)
    return PACKAGE not in path.parents and not any(part in filename for part in _FOREIGN) and path.is_file()


def _short(filename: str) -> str:
    path = Path(filename)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else filename
