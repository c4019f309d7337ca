"""Old values are made only where somebody below reads them, through any number of views."""

from dataclasses import replace

from streamz_actors.dataflow.subtopologies import split
from streamz_actors.operators import routes
from streamz_actors.streams.declare import declare_table
from tests.unit.operators.bench import builder_of, topic_of


def test_old_values_are_wanted_up_to_the_table_that_knows_them() -> None:
    builder = builder_of()
    table = declare_table(builder, topic_of(builder, "in"))
    view = table.filter(lambda k, v: True).map_values(lambda v: v)
    beside = table.map_values(lambda v: v)
    beside.to_stream().foreach(lambda k, v: None)
    builder.add(replace(routes.merge((view.node,), "reader"), reads_olds=True))
    (part,) = split(builder.freeze(), {}, 1)
    wanting = [node.name for node in part.nodes if node in part.olds]
    assert wanting == ["in", "in-filter", "in-filter-map_values"]
    assert beside.node not in part.olds
