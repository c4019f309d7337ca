"""Who competes: how each contender is started, for which workloads, and with how many records."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks.environments import HERE, java_of, python_of
from benchmarks.settings import EXACT_INTERVAL


@dataclass(frozen=True, slots=True)
class Contender:
    """`programs` gives what runs, by workload: a module of ours, a file or a Java class, and its arguments.

    `share`: of a workload's records, how many it gets where it is too slow for all of them; a rate is a rate.
    `outputs`: topics that it names itself, by workload. `warms_up`: others are compared with its second half.
    """

    name: str
    folder: str
    programs: Mapping[str, tuple[str, ...]]
    share: float = 1.0
    outputs: Mapping[str, str] = field(default_factory=dict)
    warms_up: bool = False

    def command(self, workload: str) -> list[str]:
        """Makes its environment first, if that is not there yet."""
        first, *rest = self.programs[workload]
        if self.folder == "ours":
            return [sys.executable, "-m", "streamz_actors", "-A", first, *rest]
        if first.endswith(".py"):
            return [str(python_of(self.folder)), str(HERE / self.folder / first), *rest]
        return [*java_of(self.folder), first, *rest]

    def output(self, workload: str, usual: str) -> str:
        """The topic that shows its result, with {group} and {input} to be filled in."""
        return self.outputs.get(workload, usual)

    def records(self, records: int) -> int:
        return max(1, round(records * self.share))


def ours(form: str, *options: str, **modules: str) -> Contender:
    """An application of ours in some workloads. `options` are settings, for the command line."""
    programs = {workload: (f"benchmarks.ours.{module}", "worker", *options) for workload, module in modules.items()}
    return Contender(f"ours-{form}", "ours", programs)


EXACTLY_ONCE: Final = ("--processing-guarantee", "exactly_once", "--commit-interval", str(EXACT_INTERVAL))


OURS: Final = (
    ours("agent", W1="filter_agent", W2="count_agent", W4="enrich_agent", W8="wait_agent"),
    ours(
        "dsl",
        W1="filter_dsl",
        W2="count_dsl",
        W3="tumbling_dsl",
        W3h="hopping_dsl",
        W3j="join_dsl",
        W3s="sessions_dsl",
        W3w="sliding_dsl",
        W4="enrich_dsl",
        W9="wait_dsl",
    ),
)

EXACT: Final = (
    ours("agent-eos", *EXACTLY_ONCE, W1="filter_agent", W2="count_agent"),
    ours("dsl-eos", *EXACTLY_ONCE, W1="filter_dsl", W2="count_dsl"),
)
"""Ours once more, under exactly-once: they run where they are chosen, as baselines do."""

BASELINES: Final = (
    Contender(
        "hand",
        "hand",
        {"W1": ("filter.py",), "W2": ("count.py",), "W3": ("tumbling.py",), "W4": ("enrich.py",)},
    ),
    Contender(
        "kstreams",
        "kstreams",
        {
            "W1": ("benchmarks.Main", "filter"),
            "W2": ("benchmarks.Main", "count"),
            "W3": ("benchmarks.Main", "tumbling"),
            "W3j": ("benchmarks.Main", "join"),
            "W3s": ("benchmarks.Main", "sessions"),
            "W3w": ("benchmarks.Main", "sliding"),
            "W4": ("benchmarks.Main", "enrich"),
        },
        warms_up=True,
    ),
    Contender(
        "quix",
        "quix",
        {
            "W1": ("engine.py", "filter"),
            "W2": ("engine.py", "count"),
            "W3": ("engine.py", "tumbling"),
            "W3h": ("engine.py", "hopping"),
            "W4": ("engine.py", "enrich"),
        },
        share=0.15,
        outputs={"W2": "changelog__{group}--{input}--default"},
    ),
    Contender(
        "faust",
        "faust",
        {
            "W1": ("engine.py", "filter", "worker", "--without-web", "-l", "warn"),
            "W2": ("engine.py", "count", "worker", "--without-web", "-l", "warn"),
        },
        share=0.02,
    ),
)


def competing(workload: str, against: frozenset[str]) -> list[Contender]:
    """Ours and the chosen baselines, those that have a program for the workload, in the order of their turns."""
    chosen = [*OURS, *(one for one in (*EXACT, *BASELINES) if one.name in against)]
    return [contender for contender in chosen if workload in contender.programs]
