"""`app dlq`: the dead letters of an application; what is among them, one of them in full, and back with them."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import click

from streamz_actors.cli.connect import connected, on_kafka
from streamz_actors.cli.letters import Choice, Letter, chosen, replayed, replayed_topic, topics_of
from streamz_actors.cli.options import common_options, json_option, settings_options
from streamz_actors.cli.output import Row, listing, show_json
from streamz_actors.cli.replaying import Outcome, Replay
from streamz_actors.cli.session import Session, pass_session
from streamz_actors.clock import SystemClock
from streamz_actors.config import Settings
from streamz_actors.worker.spec import Spec

EACH = ("id", "topic", "partition", "offset", "what", "error", "attempts", "age", "replayed")
KINDS = ("topic", "what", "error", "count", "replayed", "oldest", "newest", "id")
Gather = Callable[[AsyncIterator[Letter], set[str], str, int], Awaitable[list[Row]]]
"""Makes rows of letters, given the ids of those that were replayed, the default topic, and the time in ms."""

ID = re.compile(r"(?:(?P<topic>[^/]+)/)?(?P<partition>\d+)@(?P<offset>\d+)")


@dataclass(slots=True)
class Kind:
    """Letters of one topic, place and error. Times in ms; `last`: the id of the newest."""

    oldest: int
    newest: int
    count: int = 0
    replayed: int = 0
    last: str = ""

    def add(self, letter: Letter, sent: bool) -> None:
        self.oldest, self.newest = min(self.oldest, letter.timestamp), max(self.newest, letter.timestamp)
        self.count += 1
        self.replayed += sent
        self.last = letter.id


@click.group()
def dlq() -> None:
    """The dead letters: records that were given up, with what they failed on. On Kafka only."""


def _choosing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Which letters are meant."""
    for option in reversed(
        (
            click.option("--topic", default="", help="Only records of this topic."),
            click.option("--what", default="", help="Only what failed there: text such as an agent's name."),
            click.option("--error", "text", default="", help="Only errors with this text in them."),
            click.option("--from", "sources", multiple=True, help="The dead letters' topic. Default: all that the "
                         "application names."),
        )
    ):
        function = option(function)
    return function


# -- ls


@dlq.command()
@_choosing
@click.option("--each", is_flag=True, help="Every letter on a line of its own.")
@click.option("--limit", type=click.IntRange(min=1), default=1_000, show_default=True, help="Lines at the most.")
@json_option
@settings_options("broker")
@pass_session
def ls(
    session: Session, topic: str, what: str, text: str, sources: tuple[str, ...], each: bool, limit: int,
    overrides: dict[str, str], as_json: bool,
) -> None:
    """Which there are, by topic, place and error; the newest of each kind under its id."""
    spec, settings = _opened(session, overrides, "ls")
    choice = Choice(topic=topic, what=what, text=text, limit=limit if each else None)
    columns = EACH if each else KINDS
    rows = asyncio.run(_rows(spec, settings, sources, choice, _lines if each else _kinds))
    listing(rows[:limit], as_json=as_json, columns=columns)


async def _rows(spec: Spec, settings: Settings, sources: Sequence[str], choice: Choice, gather: Gather) -> list[Row]:
    async with connected(settings) as transport:
        known = await replayed(transport, replayed_topic(spec))
        letters = chosen(transport, sources or topics_of(spec), choice)
        return await gather(letters, known, spec.dead_letters, SystemClock().now())


async def _lines(letters: AsyncIterator[Letter], known: set[str], default: str, now: int) -> list[Row]:
    return [_line(letter, letter.id in known, default, now) async for letter in letters]


def _line(letter: Letter, sent: bool, default: str, now: int) -> Row:
    why = letter.why
    return {
        "id": letter.short(default),
        "topic": why.place.topic,
        "partition": why.place.partition,
        "offset": why.offset,
        "what": why.what,
        "error": why.error,
        "attempts": why.attempts,
        "age": age(now - letter.timestamp),
        "timestamp": letter.timestamp,
        "replayed": sent,
    }


async def _kinds(letters: AsyncIterator[Letter], known: set[str], default: str, now: int) -> list[Row]:
    """One row for each kind, the most frequent first. The letters themselves are not kept."""
    kinds: dict[tuple[str, str, str], Kind] = {}
    async for letter in letters:
        why = letter.why
        kind = kinds.setdefault((why.place.topic, why.what, why.error), Kind(letter.timestamp, letter.timestamp))
        kind.add(letter, letter.id in known)
    rows: list[Row] = [
        {
            "topic": topic,
            "what": what,
            "error": error,
            "count": kind.count,
            "replayed": kind.replayed,
            "oldest": age(now - kind.oldest),
            "newest": age(now - kind.newest),
            "id": kind.last.removeprefix(f"{default}/"),
        }
        for (topic, what, error), kind in kinds.items()
    ]
    return sorted(rows, key=lambda row: -int(row["count"]))


def age(milliseconds: int) -> str:
    """How long ago, in the largest unit that fits: `5 min`."""
    seconds = milliseconds // 1000
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


# -- show


@dlq.command()
@click.argument("letter")
@json_option
@settings_options("broker")
@pass_session
def show(session: Session, letter: str, overrides: dict[str, str], as_json: bool) -> None:
    """One of them: where its record was, what failed, the record itself. LETTER is an id that `ls` shows."""
    spec, settings = _opened(session, overrides, "show")
    wanted = full_id(letter, spec)
    shown = asyncio.run(_shown(spec, settings, wanted))
    if shown is None:
        raise click.ClickException(f"there is no dead letter {letter}")
    if as_json:
        show_json(shown)
        return
    for name, value in shown.items():
        if name not in ("headers", "stack"):
            click.echo(f"{name + ':':<10} {'' if value is None else value}")
    for name, value in shown["headers"].items():
        click.echo(f"header     {name}: {value}")
    click.echo(shown["stack"], nl=False)


async def _shown(spec: Spec, settings: Settings, wanted: str) -> dict[str, Any] | None:
    async with connected(settings) as transport:
        choice = Choice(ids=frozenset({wanted}), limit=1)
        async with aclosing(chosen(transport, [wanted.partition("/")[0]], choice)) as letters:
            async for letter in letters:
                return described(letter, letter.id in await replayed(transport, replayed_topic(spec)))
    return None


def described(letter: Letter, sent: bool) -> dict[str, Any]:
    """A letter for people and for JSON; bytes that are no text are shown as Python writes them."""
    why = letter.why
    return {
        "id": letter.id,
        "topic": why.place.topic,
        "partition": why.place.partition,
        "offset": why.offset,
        "timestamp": letter.timestamp,
        "what": why.what,
        "error": why.error,
        "attempts": why.attempts,
        "derived": why.derived,
        "replayed": sent,
        "key": _text(letter.key),
        "value": _text(letter.value),
        "headers": {name: _text(value) for name, value in letter.own_headers},
        "stack": why.stack,
    }


def _text(raw: bytes | None) -> str | None:
    if raw is None:
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return repr(raw)


# -- replay


@dlq.command()
@click.argument("letters", nargs=-1)
@click.option("--all", "all_", is_flag=True, help="All of them; or all that the other options leave.")
@_choosing
@click.option("--to", default="", help="Another topic than that of the record.")
@click.option("--now", is_flag=True, help="Give them the present time instead of their own.")
@click.option("--again", is_flag=True, help="Those as well that were replayed before.")
@click.option("--limit", type=click.IntRange(min=1), help="So many at the most.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@json_option
@settings_options("broker")
@pass_session
def replay(
    session: Session, letters: tuple[str, ...], all_: bool, topic: str, what: str, text: str, sources: tuple[str, ...],
    to: str, now: bool, again: bool, limit: int | None, dry_run: bool, overrides: dict[str, str], as_json: bool,
) -> None:
    """Send records back to the topics they came from: as they were, each once. LETTERS are ids that `ls` shows.

    What is replayed and fails again becomes another dead letter, which carries the attempts on. Exit code 1 if any
    could not be replayed.
    """
    if bool(letters) is bool(all_):
        raise click.UsageError("name the LETTERS, or say --all")
    spec, settings = _opened(session, overrides, "replay")
    ids = frozenset(full_id(letter, spec) for letter in letters)
    sources = tuple(sorted({each.partition("/")[0] for each in ids})) or sources
    choice = Choice(ids, topic, what, text, limit)
    moment = SystemClock().now() if now else None
    outcome = asyncio.run(_replay(spec, settings, sources, choice, to, moment, again=again, dry_run=dry_run))
    for each in sorted(ids - outcome.sent.keys() - outcome.failed.keys() - set(outcome.before)):
        outcome.failed[each] = "there is no such dead letter"
    _tell(outcome, spec.dead_letters, dry_run=dry_run, as_json=as_json)
    sys.exit(int(bool(outcome.failed)))


async def _replay(
    spec: Spec, settings: Settings, sources: Sequence[str], choice: Choice, to: str, now: int | None,
    *, again: bool, dry_run: bool,
) -> Outcome:
    async with connected(settings) as transport:
        back = Replay(transport, f"{spec.app_id}-dlq-replay", replayed_topic(spec), to, now, again)
        letters = chosen(transport, sources or topics_of(spec), choice)
        return await (back.plan(letters) if dry_run else back.run(letters))


def _tell(outcome: Outcome, default: str, *, dry_run: bool, as_json: bool) -> None:
    def short(letter: str) -> str:
        return letter.removeprefix(f"{default}/")

    sent: list[Row] = [
        {"id": short(each), "topic": place.topic, "partition": place.partition} for each, place in outcome.sent.items()
    ]
    if as_json:
        failed = {short(each): why for each, why in outcome.failed.items()}
        show_json({"replayed": sent, "before": list(map(short, outcome.before)), "failed": failed, "dry_run": dry_run})
        return
    if dry_run:
        listing(sent, as_json=False, columns=("id", "topic", "partition"))
    for each, why in outcome.failed.items():
        click.echo(f"{short(each)}: {why}", err=True)
    parts = [f"{len(sent)} {'would be replayed' if dry_run else 'replayed'}"]
    parts += [f"{len(outcome.before)} were before"] if outcome.before else []
    parts += [f"{len(outcome.failed)} can't be"] if outcome.failed else []
    click.echo(", ".join(parts))


# -- what they share


def full_id(letter: str, spec: Spec) -> str:
    """An id with its topic. Raises click.UsageError for what is none."""
    match = ID.fullmatch(letter)
    if match is None:
        raise click.UsageError(f"{letter!r} is no dead letter: write [TOPIC/]PARTITION@OFFSET, as `dlq ls` shows it")
    return f"{match['topic'] or spec.dead_letters}/{int(match['partition'])}@{int(match['offset'])}"


def _opened(session: Session, overrides: dict[str, str], command: str) -> tuple[Spec, Settings]:
    application, settings = session.prepare(overrides)
    on_kafka(settings, f"dlq {command}")
    return application.spec(settings), settings


for command in (ls, show, replay):
    common_options(command)
