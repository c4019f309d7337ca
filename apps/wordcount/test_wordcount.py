"""What the word count counts."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from apps.wordcount.app import app, words
from streamz_actors.testing import TestDriver


def test_words_are_split_at_what_is_not_a_letter_or_digit() -> None:
    assert words("It was the best of times; it was…") == ["it", "was", "the", "best", "of", "times", "it", "was"]
    assert words("  --- ") == []
    assert words("Ärger_42") == ["ärger", "42"]


@given(st.text())
def test_words_hold_no_separators(line: str) -> None:
    assert all(words(word) == [word] for word in words(line))


async def test_each_new_count_goes_out_and_stays_in_the_table() -> None:
    async with TestDriver(app) as driver:
        await driver.send("lines", value="to be or not to be", timestamp=1_000)
        out = [(record.key, record.value) for record in driver.read("counts")]
        assert sorted(out) == [("be", 1), ("be", 2), ("not", 1), ("or", 1), ("to", 1), ("to", 2)]
        await driver.send("lines", value="Be!", timestamp=2_000)
        (record,) = driver.read("counts")
        assert (record.key, record.value, record.timestamp) == ("be", 3, 2_000)
        assert dict(driver.table("word-counts").items()) == Counter(be=3, to=2, **{"or": 1, "not": 1})
