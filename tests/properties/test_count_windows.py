"""Windows of so many records give what counting on one's fingers gives, however rows come together and restart."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streamz_actors.aggregation.count_windows import count_state, count_windows
from streamz_actors.dataflow.node import Node, StoreSpec
from streamz_actors.serde.schema import schema_for
from streamz_actors.windows.definitions import CountWindow
from tests.properties.machine import EXAMPLES, Machine, Row, Run, Shown, flattened, runs
from tests.properties.test_time_windows import folded, folding_of, kinds


def machine(window: CountWindow, kind: str, emit: str) -> Machine:
    value = schema_for({"count": int, "reduce": int}.get(kind, list[int]))
    schema, layout, _ = count_state(window, value, 0)
    spec = StoreSpec("t", schema_for(str, key=True), schema, None, layout=layout)
    parent = Node("in", "source", lambda _: _never())
    options: dict[str, Any] = {"emit": emit, "on_late": None, "close_on_idle": None}
    return Machine(spec, count_windows(parent, spec, window, folding_of(kind), **options))


def _never() -> Any:
    raise AssertionError("a source has no operator")


def naive(rows: list[Row], size: int, kind: str, emit: str) -> list[Shown]:
    out: list[tuple[int, Shown]] = []
    for owner in {key for key, _, _ in rows if key is not None}:
        own = [(row, value, time) for row, (key, value, time) in enumerate(rows) if key == owner]
        for start in range(0, len(own), size):
            before, latest = None, 0
            for number, (row, value, time) in enumerate(own[start : start + size], start + 1):
                latest = time if before is None else max(latest, time)
                before = folded(kind, owner, value, before)
                if emit == "update" or (number == start + size and before is not None):
                    out.append((row, (owner, start, start + size, before, latest)))
    return [shown for _, shown in sorted(out, key=lambda pair: pair[0])]


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.integers(1, 4), kinds, st.sampled_from(["update", "close"]), runs())
def test_every_result_is_the_naive_one(size: int, kind: str, emit: str, stream: list[Run]) -> None:
    made = machine(CountWindow(size), kind, emit)
    assert made.play(stream) == naive(flattened(stream), size, kind, emit)
