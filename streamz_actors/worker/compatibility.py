"""Whether a release can read what another one has kept, by what both say of each internal topic. Pure."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from streamz_actors.worker.descriptions import Described
from streamz_actors.worker.findings import Finding, incompatible, note

PLAIN: Final = frozenset({"str", "int", "float", "bool"})
"""As descriptions name them."""

Descriptions = Mapping[str, Described]
"""By topic."""


def unreadable(mine: Descriptions, kept: Descriptions) -> list[Finding]:
    """What would be read wrongly: no worker of this release may start."""
    return [finding for now, then in _both(mine, kept) for finding in _unreadable(now, then)]


def _both(mine: Descriptions, kept: Descriptions) -> Iterator[tuple[Described, Described]]:
    for name, now in mine.items():
        then = kept.get(name)
        if then is not None and then.id == now.id:
            yield now, then


def _unreadable(now: Described, then: Described) -> Iterator[Finding]:
    for what, new, old in (
        ("keys", now.key_codec, then.key_codec),
        ("values", now.value_codec, then.value_codec),
    ):
        if new != old:
            yield incompatible(
                _subject(now), f"its {what} are kept in the codec {old!r}, and this release has {new!r}; {_advice(now)}"
            )
    for what, new, old in _changed_types(now, then):
        yield incompatible(
            _subject(now), f"its {what} are kept as {old}, which this release would read as {new}; {_advice(now)}"
        )
    if now.arrangement != then.arrangement:
        yield incompatible(
            _subject(now),
            f"it is kept as {then.arrangement or 'a plain table'}, and this release has "
            f"{now.arrangement or 'a plain table'}; {_advice(now)}",
        )


def _changed_types(now: Described, then: Described) -> Iterator[tuple[str, str, str]]:
    """Keys or values that are of another plain type now, which no old one fits: the new type, and the old one."""
    for what, codecs, new, old in (
        ("keys", {now.key_codec, then.key_codec}, now.key_type, then.key_type),
        ("values", {now.value_codec, then.value_codec}, now.value_type, then.value_type),
    ):
        wider = what == "values" and (old, new) == ("int", "float")
        if len(codecs) == 1 and new != old and {new, old} <= PLAIN and not wider:
            yield what, new, old


def _advice(one: Described) -> str:
    if one.table:
        return "go back to that, give the table another name, under which it begins empty, or reset the application"
    return "go back to that, or give the operation another name= once the former release has worked it off"


def evolved(mine: Descriptions, kept: Descriptions) -> list[Finding]:
    """Types that have changed: whether values that were written before can be read depends on what they hold."""
    return [finding for now, then in _both(mine, kept) for finding in _evolved(now, then)]


def _evolved(now: Described, then: Described) -> Iterator[Finding]:
    told = {what for what, _, _ in _changed_types(now, then)}
    if now.key_type != then.key_type and "keys" not in told:
        yield note(_subject(now), f"its keys were of type {then.key_type}, and are {now.key_type} now")
    new = sorted(set(now.required) - set(then.fields))
    if new and then.fields:
        fields = ", ".join(map(repr, new))
        yield incompatible(
            _subject(now), f"{now.value_type} must have {fields}, which what is kept has not: give it a default"
        )
    elif now.value_type != then.value_type and "values" not in told:
        yield note(_subject(now), f"its values were of type {then.value_type}, and are {now.value_type} now")
    if gone := sorted(set(then.fields) - set(now.fields)):
        yield note(_subject(now), f"{now.value_type} has no {', '.join(map(repr, gone))} any more")


def successor(gone: Described, fresh: Collection[Described]) -> Described | None:
    """Of tables that have no state yet, the one that may be the new name of one that is not declared any more."""
    alike = {one.table: one for one in fresh if one.table and _shape(one) == _shape(gone)}
    near = difflib.get_close_matches(gone.table, alike, n=1, cutoff=0.0)
    return alike[near[0]] if near else None


def _shape(one: Described) -> tuple[str, ...]:
    return one.key_type, one.key_codec, one.value_type, one.value_codec, one.arrangement


def _subject(one: Described) -> str:
    return f"table {one.table}" if one.table else f"topic {one.topic}"
