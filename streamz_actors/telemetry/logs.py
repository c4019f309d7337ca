"""Where log lines go and how they look: plain for people, or one JSON object a line."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, Literal, TextIO

NOISY: Final = ("aiokafka", "kafka", "aiohttp.access")
"""Loggers of libraries that report daily business at INFO: let through from WARNING on, or where all is wanted."""

USUAL: Final = "because it is rebalancing"
"""In what aiokafka warns of whenever somebody joins or leaves a group: nothing is wrong then."""

REPEATED: Final = 30.0
"""Seconds between two lines of the same words from aiokafka."""
REMEMBERED: Final = 1_000
"""Texts whose last line is remembered."""

PLAIN: Final = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
PLAIN_OF_ONE: Final = "%(asctime)s %(levelname)-7s [{process}] %(name)s: %(message)s"
"""Of one process among several."""


def unusual(record: logging.LogRecord) -> bool:
    """Whether a line is not one of those that every rebalance brings."""
    return not (record.name.startswith("aiokafka") and USUAL in record.msg)


class Repeats:
    """Lets what aiokafka says over and over while a broker is away through once in `REPEATED` seconds.

    The line then says how many were held back.
    """

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], tuple[float, int]] = {}
        """By logger and text: when it was let through last, and how many were not since then."""

    def __call__(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("aiokafka"):
            return True
        text = record.getMessage()
        last, held_back = self._said.get((record.name, text), (-REPEATED, 0))
        if record.created - last < REPEATED:
            self._said[record.name, text] = (last, held_back + 1)
            return False
        if len(self._said) >= REMEMBERED:
            self._said.clear()
        self._said[record.name, text] = (record.created, 0)
        if held_back:
            record.msg, record.args = f"{text} (said {held_back} times more since)", ()
        return True


class JsonLines(logging.Formatter):
    """`time` is ISO 8601 in UTC; `error` is there where an exception was logged, `process` where there are several."""

    def __init__(self, process: int | None = None) -> None:
        super().__init__()
        self._process = {} if process is None else {"process": process}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            **self._process,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class Lines(logging.StreamHandler[TextIO]):
    """A class of its own, so that `setup` knows again what it has set up."""


def setup(
    log_format: Literal["plain", "json"] = "plain", level: int | str = logging.INFO, process: int | None = None
) -> None:
    """Sends everything that is logged in this process to standard error. A second call replaces the first.

    `level` is a number or a name in any case; `process` is this one's number among several, which its lines then bear.
    Raises ValueError for a level's name that is none.
    """
    wanted = logging.getLevelName(level.upper()) if isinstance(level, str) else level
    if not isinstance(wanted, int):
        raise ValueError(f"{level!r} is no log level: debug, info, warning, error and critical are")
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Lines)]:
        root.removeHandler(handler)
    lines = Lines(sys.stderr)
    plain = PLAIN if process is None else PLAIN_OF_ONE.format(process=process)
    lines.setFormatter(JsonLines(process) if log_format == "json" else logging.Formatter(plain))
    if wanted > logging.DEBUG:
        lines.addFilter(unusual)
        lines.addFilter(Repeats())
    root.addHandler(lines)
    root.setLevel(wanted)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.NOTSET if wanted <= logging.DEBUG else max(wanted, logging.WARNING))
