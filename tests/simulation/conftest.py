"""Simulations run without coverage and may take long: other tests cover the lines."""

from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONG = 600
"""Seconds that one test may take."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.no_cover)
            item.add_marker(pytest.mark.timeout(LONG))
