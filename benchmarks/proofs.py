"""What was tried very often, once: properties over random streams, simulated seeds, cycles of chaos. For RESULTS.md.

`proofs.jsonl` has a line for each: what, how many times, what was found wrong, at which commit, on which day, how long
it took. A later line about the same replaces the earlier one.
"""

import json
from pathlib import Path
from typing import Any

from benchmarks.tables import table

LINES = Path(__file__).parent / "proofs.jsonl"
HEAD = ("what", "tried", "violations", "commit", "day", "took")


def section(lines: Path = LINES) -> str:
    """Empty without any."""
    proofs = {proof["what"]: proof for proof in map(json.loads, lines.read_text("utf-8").splitlines())}
    if not proofs:
        return ""
    return f"## Tried very often, once\n\n{table(HEAD, [_row(proof) for _, proof in sorted(proofs.items())])}"


def _row(proof: dict[str, Any]) -> tuple[str, ...]:
    minutes = f"{proof['seconds'] / 60:.0f} min"
    return proof["what"], f"{proof['tried']:,}", f"{proof['violations']}", proof["commit"], proof["day"], minutes
