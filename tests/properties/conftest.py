"""Properties run without coverage, and may take long: a thousand examples under a tracer take minutes, and other tests
cover the lines.
"""

from pathlib import Path

import pytest

from tests.properties.machine import EXAMPLES

HERE = Path(__file__).parent
LONG = max(600, EXAMPLES)
"""Seconds that one of them may take."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.no_cover)
            item.add_marker(pytest.mark.timeout(LONG))
