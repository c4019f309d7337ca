"""Errors that aiokafka's fetcher has left: which are raised, which say nothing of the present assignment."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition as ForeignPartition
from aiokafka.consumer.fetcher import FetchError
from aiokafka.consumer.subscription_state import Subscription
from aiokafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from streamz_actors.transport.kafka.fetching import Buffer
from streamz_actors.types import TopicPartition

EARLIEST = -2
HERE, GONE = TopicPartition("steps", 0), TopicPartition("steps", 1)


class Fetcher:
    """As far as a Buffer knows it."""

    def __init__(self) -> None:
        self._records: dict[Any, Any] = {}
        self._wait_consume_future = None

    def _notify(self, future: Any) -> None:
        pass

    def fails(self, partition: TopicPartition, error: type[Exception]) -> None:
        self._records[ForeignPartition(*partition)] = FetchError(error=error(partition), backoff=0)


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher()


@pytest.fixture
async def state() -> Any:
    """aiokafka's subscription, with one partition assigned."""
    subscription = Subscription({"steps"})
    subscription._assign({ForeignPartition(*HERE)})
    return subscription


def buffer(fetcher: Fetcher, subscription: Any) -> Buffer:
    made = Buffer(SimpleNamespace(_fetcher=fetcher, _subscription=SimpleNamespace(subscription=subscription)), EARLIEST)
    made.assign([HERE])
    return made


async def test_a_partition_without_a_committed_position_starts_where_it_is_to(fetcher: Fetcher, state: Any) -> None:
    held = buffer(fetcher, state)
    fetcher.fails(HERE, NoOffsetForPartitionError)
    assert held.give() == []
    assert state.assignment.state_value(HERE).reset_strategy == EARLIEST


async def test_one_that_was_sought_meanwhile_stays_there(fetcher: Fetcher, state: Any) -> None:
    held = buffer(fetcher, state)
    fetcher.fails(HERE, NoOffsetForPartitionError)
    state.assignment.state_value(HERE).reset_to(42)
    assert held.give() == []
    assert state.assignment.state_value(HERE).position == 42


@pytest.mark.parametrize("error", [NoOffsetForPartitionError, OffsetOutOfRangeError])
async def test_an_error_of_a_partition_that_is_not_assigned_any_more_is_dropped(
    fetcher: Fetcher, state: Any, error: type[Exception]
) -> None:
    held = buffer(fetcher, state)
    fetcher.fails(GONE, error)
    assert held.give() == []
    assert fetcher._records == {}


async def test_an_error_of_the_assignment_before_says_nothing_of_the_new_one(fetcher: Fetcher, state: Any) -> None:
    held = buffer(fetcher, state)
    fetcher.fails(HERE, OffsetOutOfRangeError)
    held.assign([HERE])
    assert held.give() == []


async def test_an_error_of_the_present_assignment_is_raised(fetcher: Fetcher, state: Any) -> None:
    held = buffer(fetcher, state)
    fetcher.fails(HERE, OffsetOutOfRangeError)
    with pytest.raises(OffsetOutOfRangeError):
        held.give()
