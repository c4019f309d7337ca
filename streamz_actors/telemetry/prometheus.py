"""The Prometheus text format 0.0.4: metrics are gathered when they are asked for, nothing is registered."""

import math
from collections.abc import Iterable, Mapping
from typing import Final, Literal

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str | int], float]
"""Labels and a value."""


class Exposition:
    """One answer to a scrape. Families stand in the order in which they were added; one without samples is left out."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def gauge(self, name: str, about: str, *samples: Sample) -> None:
        self._family("gauge", name, about, samples)

    def counter(self, name: str, about: str, *samples: Sample) -> None:
        """`name` ends in `_total`."""
        self._family("counter", name, about, samples)

    def _family(self, kind: Literal["gauge", "counter"], name: str, about: str, samples: Iterable[Sample]) -> None:
        rows = [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
        if rows:
            self._lines += (f"# HELP {name} {_escaped(about)}", f"# TYPE {name} {kind}", *rows)

    def text(self) -> str:
        return "\n".join((*self._lines, ""))


def merged(label: str, texts: Mapping[str, str]) -> str:
    """One scrape of several, each as `Exposition` writes it, by the value that `label` gets in its samples.

    Each family stands there once, with the samples of all.
    """
    families: dict[str, tuple[list[str], list[str]]] = {}
    for value, text in texts.items():
        pair = f'{label}="{_escaped(value, quotes=True)}"'
        for heads, samples in _families(text):
            family = families.setdefault(heads[0], (heads, []))
            family[1].extend(_labelled(sample, pair) for sample in samples)
    return "\n".join((*(line for heads, samples in families.values() for line in (*heads, *samples)), ""))


def _families(text: str) -> Iterable[tuple[list[str], list[str]]]:
    """Of each family the lines about it, the first of which names it, and its samples."""
    heads: list[str] = []
    samples: list[str] = []
    for line in filter(None, text.split("\n")):  # not splitlines: labels may hold what that takes for a line's end
        if not line.startswith("#"):
            samples.append(line)
            continue
        if samples:
            yield heads, samples
            heads, samples = [], []
        heads.append(line)
    if samples:
        yield heads, samples


def _labelled(sample: str, pair: str) -> str:
    """A sample's line with one label more, in front. Only labels have braces."""
    name, brace, rest = sample.partition("{")
    if brace:
        return f"{name}{{{pair},{rest}"
    name, _, value = sample.partition(" ")
    return f"{name}{{{pair}}} {value}"


def _labels(labels: Mapping[str, str | int]) -> str:
    if not labels:
        return ""
    pairs = (f'{name}="{_escaped(str(value), quotes=True)}"' for name, value in labels.items())
    return "{" + ",".join(pairs) + "}"


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value)).removesuffix(".0")
