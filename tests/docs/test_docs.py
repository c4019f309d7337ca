"""What the documentation shows works, and what it links to exists."""

import os
import re
from pathlib import Path

import pytest

from tests.docs.pages import FENCE, ROOT, blocks, module, name, pages, run

LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
WITH_CODE = [page for page in pages() if blocks(page, "python")]


@pytest.mark.parametrize("page", WITH_CODE, ids=name)
async def test_the_code_of_a_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in [variable for variable in os.environ if variable.startswith("STREAMZ_")]:
        monkeypatch.delenv(variable)
    with module() as made:
        await run(page, made)


@pytest.mark.parametrize("page", pages(), ids=name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text("utf-8"))
    assert [target for target in LINK.findall(text) if not (page.parent / target).exists()] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    seen = {ROOT / "docs" / "index.md"}
    waiting = list(seen)
    while waiting:
        page = waiting.pop()
        for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
            found = (page.parent / target).resolve()
            if found.suffix == ".md" and found not in seen and found.is_file():
                seen.add(found)
                waiting.append(found)
    assert [name(page) for page in pages() if page.parent != ROOT and page not in seen] == []
