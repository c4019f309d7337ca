"""The tutorial, done as it says: the module saved, the worker started, the commands typed, the answers compared."""

import re
import shlex
from pathlib import Path

from tests.docs.pages import ROOT, blocks
from tests.scenarios.cli_process import command, worker

PAGE = ROOT / "docs" / "tutorials" / "first-agent.md"
OUT_OF_ORDER = re.compile(r"^(topic \S+, partition) \d+, offset \d+$", re.MULTILINE)
"""Partition and offset are the broker's choice; the page shows one of them."""


def test_the_tutorial_does_what_it_says(tmp_path: Path) -> None:
    final = [block for block in blocks(PAGE, "python") if block.title == "shop.py"][-1]
    (tmp_path / "shop.py").write_text(final.source, "utf-8")
    (session,) = [block for block in blocks(PAGE, "console") if "query" in block.source]
    with worker(tmp_path, "--web-port", "0") as running:
        for part in re.split(r"^\$ app ", session.source, flags=re.MULTILINE)[1:]:
            typed, _, shown = part.partition("\n")
            result = command(tmp_path, *shlex.split(typed), "--url", running.url)
            printed = result.stdout + result.stderr
            assert OUT_OF_ORDER.sub(r"\1", printed).strip() == OUT_OF_ORDER.sub(r"\1", shown).strip(), typed
