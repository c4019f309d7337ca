"""Where rows came of, against the plain list of pairs that it stands for."""

from hypothesis import given
from hypothesis import strategies as st

from streamz_actors.agents.sources import Sources
from streamz_actors.dataflow.batch import Batch
from streamz_actors.serde.schema import schema_for
from streamz_actors.types import TopicPartition

TEXT = schema_for(str)
BATCHES = [
    Batch(TopicPartition("in", 0), range(9), [0] * 9, TEXT, TEXT, raw_keys=[b"k"] * 9, raw_values=[b"v"] * 9)
    for _ in range(2)
]

Run = st.tuples(st.sampled_from(BATCHES), st.lists(st.integers(0, 8), min_size=1, max_size=4))
Steps = st.lists(st.one_of(Run, st.tuples(st.sampled_from(["cut", "first"]), st.integers(0, 12))), max_size=12)


@given(Steps)
def test_every_row_is_found_where_it_came_of(steps: list[tuple[object, object]]) -> None:
    sources, rows = Sources(), list[tuple[Batch, int]]()
    for what, how in steps:
        if isinstance(what, Batch):
            assert isinstance(how, list)
            sources.add(what, how)
            rows += [(what, row) for row in how]
            continue
        assert isinstance(how, int)
        kept = min(how, len(rows))
        if what == "cut":
            sources.cut(kept)
            del rows[kept:]
        else:
            same(sources.first(kept), rows[:kept])
            del rows[:kept]
        same(sources, rows)


def same(sources: Sources, rows: list[tuple[Batch, int]]) -> None:
    assert sources.rows == len(rows)
    for each in (list(sources), [sources[number] for number in range(len(rows))]):
        assert [(id(batch), row) for batch, row in each] == [(id(batch), row) for batch, row in rows]
