"""Writing a table's changes into its store."""

from typing import Any

from streamz_actors.dataflow.batch import Batch, Column
from streamz_actors.errors import EncodeError


def keep(state: Any, batch: Batch, values: Column) -> None:
    """Values under the keys and times of these rows. Raises EncodeError saying which record one was made from."""
    put = state.put_raw
    raw_keys = batch.encoded_keys(state.spec.key_schema)
    for row, (raw, value, timestamp) in enumerate(zip(raw_keys, values, batch.timestamps, strict=True)):
        try:
            put(raw, value, timestamp)
        except EncodeError as error:
            raise batch.misfit("value", row, error) from error
