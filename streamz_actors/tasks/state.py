"""Opens a task's stores: whose data they hold is checked, and what cannot be read is rebuilt from the changelog."""

import logging
from collections.abc import Mapping

from streamz_actors.dataflow.node import StoreSpec
from streamz_actors.dataflow.subtopologies import SubTopology
from streamz_actors.errors import StoreCorrupted
from streamz_actors.stores.abc import Backend, Shelf
from streamz_actors.tables.mapping import State
from streamz_actors.tables.windowed import WindowLayout, WindowState
from streamz_actors.transport.abc import TopicInfo

logger = logging.getLogger("streamz_actors.tasks")


def identity(spec: StoreSpec, cluster_id: str, topics: Mapping[str, TopicInfo]) -> str:
    """Whose data a store holds: the cluster, the changelog topic's id, and the codecs its bytes are written in."""
    topic = "unlogged" if spec.changelog is None else topics[spec.changelog.name].id
    return f"{cluster_id}/{topic}/{spec.key_schema.codec}/{spec.value_schema.codec}"


def open_shelf(backend: Backend, place: str, identities: Mapping[str, str]) -> Shelf:
    """The stores (name → identity) in a place. Raises StoreLocked while another process has them."""
    try:
        return backend.open(place, identities)
    except StoreCorrupted as error:
        logger.warning("%s; the state in %s is rebuilt from its changelogs", error, place)
        backend.destroy(place)
        return backend.open(place, identities)


def states(shelf: Shelf, sub: SubTopology, partition: int) -> dict[str, State]:
    followed = {store.name for nodes in sub.followers.values() for node in nodes for store in node.stores}

    def state(spec: StoreSpec) -> State:
        store, told = shelf.stores[spec.name], spec.name in followed
        if isinstance(spec.layout, WindowLayout):
            return WindowState(spec, store, partition, sub.partitions, spec.layout, followed=told)
        return State(spec, store, partition, sub.partitions, followed=told)

    return {spec.name: state(spec) for spec in sub.stores}
