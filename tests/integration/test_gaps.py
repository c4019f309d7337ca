"""The measurement of the loop's gaps runs, and finds what was restored. No time is asserted."""

import pytest

from benchmarks import gaps

pytestmark = pytest.mark.kafka


async def test_a_restore_beside_a_busy_task_is_measured(kafka_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gaps, "AFTER", 0.1)
    found = await gaps.measure(kafka_url, 5_000)
    assert found["restored_per_s"] > 0
    assert found["restoring"]["turns"] > 0
