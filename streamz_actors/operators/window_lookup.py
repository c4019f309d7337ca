"""How a node looks up what a table of windows holds, under the windowed keys of its rows."""

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.dataflow.lookups import Lookup, Read, ReadDated
from streamz_actors.dataflow.node import Place, StoreSpec
from streamz_actors.serde.schema import windowed_around
from streamz_actors.serde.windowed import bounds_of, key_part


def by_window(spec: StoreSpec) -> Lookup:
    """A window that has expired is not found any more."""

    def at(place: Place) -> Read:
        dated_read = dated(place)

        async def read(batch: Batch) -> Column:
            values, _ = await dated_read(batch)
            return values

        return read

    def dated(place: Place) -> ReadDated:
        layout, schema = spec.layout, windowed_around(spec.key_schema)
        assert layout is not None, "it is a table of windows"
        logged = place.states[spec.name].logged

        def one(raw: bytes | None) -> tuple[object, int]:
            if raw is None:
                return None, 0
            start, end = bounds_of(raw)
            rows = layout.windows(logged, key_part(raw), start, start + 1)
            return next(((value, time) for _, stop, value, time in rows if stop == end), (None, 0))

        async def read(batch: Batch) -> tuple[Column, list[int]]:
            found = [one(raw) for raw in batch.encoded_keys(schema)]
            return [value for value, _ in found], [time for _, time in found]

        return read

    return Lookup(at, (spec,), dated=dated)
