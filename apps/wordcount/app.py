"""Word count: lines come in, words are counted, each new count goes out."""

import re

from streamz_actors import App

WORD = re.compile(r"[^\W_]+")

app = App("wordcount")

lines = app.topic("lines", key_type=str, value_type=str)
counts = app.topic("counts", key_type=str, value_type=int)


def words(line: str) -> list[str]:
    return WORD.findall(line.lower())


word_counts = (
    app.stream(lines)
    .flat_map_values(words)
    .group_by(lambda _, word: word, key_type=str)
    .count(name="word-counts")
)
word_counts.to_stream().to(counts)


if __name__ == "__main__":
    app.main()
