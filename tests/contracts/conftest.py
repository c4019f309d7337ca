"""Fixtures of the contracts: of transports, on top of the `transport` that an adapter's module gives, and of stores."""

from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from streamz_actors.stores.abc import Backend
from streamz_actors.stores.memory import MemoryBackend
from streamz_actors.stores.rocksdb import RocksBackend
from streamz_actors.transport.abc import GroupSettings, Producer, Reader, TopicSpec, Transport
from tests.contracts.transport_members import Join, MakeTopic, Member, Names

pytest.register_assert_rewrite(
    "tests.contracts.group_contract", "tests.contracts.transaction_contract", "tests.contracts.transport_contract"
)



@pytest.fixture(params=["memory", "rocksdb"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made: Backend = MemoryBackend() if request.param == "memory" else RocksBackend(tmp_path)
    yield made
    made.close()


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def producer(transport: Transport) -> AsyncIterator[Producer]:
    producer = transport.producer("contract")
    await producer.start()
    yield producer
    await producer.stop()


@pytest.fixture
async def reader(transport: Transport) -> AsyncIterator[Reader]:
    reader = transport.reader()
    await reader.start()
    yield reader
    await reader.stop()


@pytest.fixture
async def topic(transport: Transport, names: Names) -> AsyncIterator[MakeTopic]:
    made: list[str] = []

    async def make(partitions: int = 1, **config: str) -> str:
        name = names("topic")
        made.append(name)
        named = {setting.replace("_", "."): value for setting, value in config.items()}
        await transport.admin.create([TopicSpec(name, partitions, None, named)])
        return name

    yield make
    await transport.admin.delete(made)


@pytest.fixture
async def join(transport: Transport) -> AsyncIterator[Join]:
    members: list[Member] = []

    async def join(topics: Sequence[str], group: str, client: str = "a", **settings: Any) -> Member:
        member = Member(transport, GroupSettings(group=group, client_id=client, **settings))
        members.append(member)
        await member.consumer.start(topics)
        return member

    yield join
    for member in members:
        await member.consumer.stop()
