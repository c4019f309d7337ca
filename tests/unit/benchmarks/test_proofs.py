"""What was tried often is told in a table, the newest of each."""

import json
from pathlib import Path

from benchmarks import proofs


def line(what: str, tried: int) -> str:
    return json.dumps(
        {"what": what, "tried": tried, "violations": 0, "commit": "abc", "day": "2026-11-23", "seconds": 120}
    )


def test_a_later_line_replaces_an_earlier_one_about_the_same(tmp_path: Path) -> None:
    lines = tmp_path / "proofs.jsonl"
    lines.write_text("\n".join([line("sessions", 1_000), line("joins", 5), line("sessions", 100_000)]))
    rows = proofs.section(lines).splitlines()
    assert [row.split("|")[1:4] for row in rows if "abc" in row] == [
        [" joins ", " 5 ", " 0 "],
        [" sessions ", " 100,000 ", " 0 "],
    ]


def test_nothing_tried_is_nothing_said(tmp_path: Path) -> None:
    lines = tmp_path / "proofs.jsonl"
    lines.touch()
    assert proofs.section(lines) == ""
