"""Runs conformance scenarios against the installed streamz_actors.

    python -m tests.conformance.run FILE.jsonl... [--only GLOB] [--async] [--verbose] [--json REPORT] [--mutate SEED]

One line per failing scenario, a table by operation, and last `N passed, M failed`. Exit status 1 if any failed.
"""

# ruff: noqa: T201

import argparse
import asyncio
import copy
import fnmatch
import json
import random
import signal
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Scenario = dict[str, Any]
Record = dict[str, Any]                                  # topic, key, value, timestamp
Steps = list[list[Record]]                               # what came out, per input


# -- comparing

def canonical(value: Any) -> str:
    """Equal texts for equal values of equal types: 1, 1.0, "1" and true all differ."""
    return json.dumps(value, sort_keys=True, default=lambda other: f"<{type(other).__name__}> {other!r}")


def bare_key(key: Any) -> Any:
    return key["key"] if isinstance(key, dict) and "window_start" in key else key


def lane(record: Record, order: str) -> str:
    """Records of one lane must come in the expected order; between lanes order is free."""
    key = {"exact": None, "per_key": bare_key(record["key"]), "per_window": record["key"]}[order]
    return canonical([record["topic"], key])


def by_lane(records: list[Record], order: str) -> dict[str, list[str]]:
    lanes: dict[str, list[str]] = {}
    for record in records:
        shown = canonical({name: record[name] for name in ("topic", "key", "value", "timestamp")})
        lanes.setdefault(lane(record, order), []).append(shown)
    return lanes


def expected_steps(scenario: Scenario, outputs: list[Record]) -> Steps:
    steps: Steps = [[] for _ in scenario["inputs"]]
    for output in outputs:
        steps[output["after_input_index"]].append(output)
    return steps


def latest(view: dict[str, str], records: list[Record]) -> None:
    """Applies records to a view of the last value by topic and key; a tombstone removes."""
    for record in records:
        slot = canonical([record["topic"], record["key"]])
        if record["value"] is None:
            view.pop(slot, None)
        else:
            view[slot] = canonical([record["value"], record["timestamp"]])


def show(records: list[Record]) -> str:
    def key(value: Any) -> str:
        if isinstance(value, dict) and "window_start" in value:
            return f"{canonical(value['key'])}@{value['window_start']}/{value['window_end']}"
        return canonical(value)
    parts = [f"{r['topic']}: {key(r['key'])}={canonical(r['value'])} @{r['timestamp']}" for r in records]
    return "[" + ", ".join(parts) + "]"


def difference(scenario: Scenario, outputs: list[Record], steps: Steps) -> str | None:
    """The first difference between expected outputs and what came out, in one line; None if there is none."""
    order = scenario["compare"]
    wanted_view: dict[str, str] = {}
    got_view: dict[str, str] = {}
    for index, (wanted, got) in enumerate(zip(expected_steps(scenario, outputs), steps, strict=True)):
        if order == "final":
            latest(wanted_view, wanted)
            latest(got_view, got)
            same = wanted_view == got_view
        else:
            same = by_lane(wanted, order) == by_lane(got, order)
        if not same:
            return f"input {index}: expected {show(wanted)} got {show(got)}"
    return None


def verdict(scenario: Scenario, steps: Steps) -> str | None:
    """None if the outputs are the expected ones, or those of `accept_also`; else the first difference."""
    first = difference(scenario, scenario["expected_outputs"], steps)
    also = scenario.get("accept_also")
    if first is None or (also is not None and difference(scenario, also, steps) is None):
        return None
    return first


# -- running

class TooLong(BaseException):
    """Not an `Exception`, so that no `except Exception` on the way swallows it."""


def play(scenario: Scenario, asynchronous: bool, seconds: float) -> Steps:
    """Runs one scenario in its own event loop; `TooLong` after `seconds`, endless loops included."""
    from tests.conformance import binding

    def give_up(*_: Any) -> None:
        raise TooLong(f"no end after {seconds:g} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds, 5)     # and again: it may strike inside a callback
    try:
        return asyncio.run(binding.play(scenario, asynchronous))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def attempt(scenario: Scenario, arguments: argparse.Namespace) -> tuple[Steps | None, str | None]:
    """What came out and why that is wrong; a crash is a failure with its reason in one line."""
    try:
        steps = play(scenario, arguments.asynchronous, arguments.timeout)
    except (Exception, TooLong) as error:
        if arguments.verbose:
            traceback.print_exc()
        lines = str(error).strip().splitlines() or [""]
        return None, f"{type(error).__name__}: {lines[0]}"
    return steps, verdict(scenario, steps)


# -- mutating: the proof that the runner can fail

def mutant(scenario: Scenario, random_: random.Random) -> Scenario:
    """A copy with one expected output made wrong, and no second chance through `accept_also`."""
    changed = copy.deepcopy(scenario)
    changed.pop("accept_also", None)
    outputs = changed["expected_outputs"]
    if not outputs:
        at = random_.randrange(len(changed["inputs"]))
        outputs.append({"after_input_index": at, "topic": "out", "key": "k", "value": "spurious", "timestamp": 0})
        return changed
    if changed["compare"] == "final":                    # only the last word on a key within an input counts
        last = {(o["after_input_index"], o["topic"], canonical(o["key"])): o for o in outputs}
        target = random_.choice(list(last.values()))
        kinds = ["value"]
    else:
        target = random_.choice(outputs)
        kinds = ["value", "timestamp", "key", "drop", "twice", "later"]
    match random_.choice(kinds):
        case "value":
            target["value"] = "not this" if target["value"] is None else None
        case "timestamp":
            target["timestamp"] += 1
        case "key" if isinstance(target["key"], dict):
            target["key"][random_.choice(["window_start", "window_end"])] += 1
        case "key":
            target["key"] = "not this"
        case "twice":
            outputs.insert(outputs.index(target), dict(target))
        case "later" if target["after_input_index"] + 1 < len(changed["inputs"]):
            target["after_input_index"] += 1
        case _:
            outputs.remove(target)
    return changed


def mutate(scenarios: list[Scenario], arguments: argparse.Namespace) -> int:
    """Each of a sample of passing scenarios must fail once one of its expected outputs is altered."""
    random_ = random.Random(arguments.mutate)
    sample = random_.sample(scenarios, max(1, min(len(scenarios), max(20, len(scenarios) // 5))))
    caught, survived, unused = 0, 0, 0
    for scenario in sample:
        steps, wrong = attempt(scenario, arguments)
        if steps is None or wrong is not None:
            unused += 1                                  # fails unaltered: proves nothing
            continue
        altered = mutant(scenario, random_)
        found = verdict(altered, steps)
        if found is None:
            survived += 1
            print(f"SURVIVED {scenario['id']}")
        else:
            caught += 1
            if arguments.verbose:
                print(f"caught {scenario['id']}: {found[:300]}")
    print(f"{len(sample)} sampled, {unused} unused (fail unaltered), {caught} caught, {survived} survived")
    return 0 if caught and not survived else 1


# -- command line

def load(paths: list[Path], only: str) -> Iterator[Scenario]:
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            scenario = json.loads(line)
            if any(fnmatch.fnmatchcase(scenario[name], only) for name in ("id", "operation")):
                yield scenario


def table(results: list[dict[str, Any]]) -> str:
    passed = Counter(r["operation"] for r in results if r["failure"] is None)
    failed = Counter(r["operation"] for r in results if r["failure"] is not None)
    width = max((len(r["operation"]) for r in results), default=9)
    rows = [f"{'operation':<{width}}  passed  failed"]
    rows += [f"{name:<{width}}  {passed[name]:>6}  {failed[name]:>6}" for name in sorted(passed | failed)]
    return "\n".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--only", default="*", metavar="GLOB", help="scenarios whose id or operation matches")
    parser.add_argument("--async", dest="asynchronous", action="store_true", help="pass user functions as async def")
    parser.add_argument("--verbose", action="store_true", help="name passing scenarios too, show tracebacks")
    parser.add_argument("--json", type=Path, metavar="REPORT", help="write the results to a file")
    parser.add_argument("--mutate", type=int, metavar="SEED", help="alter a sample; each must then fail")
    parser.add_argument("--timeout", type=float, default=20.0, metavar="SECONDS", help="for one scenario")
    arguments = parser.parse_args()
    scenarios = list(load(arguments.files, arguments.only))
    if not scenarios:
        print(f"no scenario matches {arguments.only!r}", file=sys.stderr)
        return 2
    if arguments.mutate is not None:
        return mutate(scenarios, arguments)

    results = []
    for scenario in scenarios:
        _, failure = attempt(scenario, arguments)
        results.append({"id": scenario["id"], "operation": scenario["operation"], "failure": failure})
        if failure is not None:
            print(f"FAIL {scenario['id']}: {failure}")
        elif arguments.verbose:
            print(f"ok   {scenario['id']}")
    failed = sum(result["failure"] is not None for result in results)
    passed = len(results) - failed
    if arguments.json:
        report = {"passed": passed, "failed": failed, "scenarios": results}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table(results))
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
