"""A cluster with proxies before it, on which campaigns run one after the other."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from streamz_actors.transport.abc import Transport
from streamz_actors.transport.kafka.transport import KafkaTransport
from tests.chaos.campaign import Campaign, Verdict
from tests.chaos.cluster import Cluster, free_ports
from tests.chaos.places import Place
from tests.chaos.proxy import Cut, Proxy
from tests.chaos.schedule import NODES, WORKERS, schedule
from tests.chaos.subject import Subject

SESSION_TIMEOUT = 5.0
SHARING = 2
"""So many places share a folder of state, the others have one each."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a campaign."""

    guarantee: str
    cycles: int
    seed: int
    standbys: int = 0

    def settings(self) -> dict[str, str]:
        return {
            "STREAMZ_PROCESSING_GUARANTEE": self.guarantee,
            "STREAMZ_COMMIT_INTERVAL": "0.2" if self.guarantee == "exactly_once" else "0.5",
            "STREAMZ_SESSION_TIMEOUT": str(SESSION_TIMEOUT),
            "STREAMZ_STANDBY_REPLICAS": str(self.standbys),
        }


@dataclass(frozen=True, slots=True)
class Arena:
    cluster: Cluster
    proxies: list[list[Proxy]]
    """By worker and node."""

    async def hold(self, plan: Plan, subject: Subject, folder: Path, say: Callable[[str], None]) -> Verdict:
        """One campaign; `folder`, which exists, gets the workers' logs and state."""
        for proxy in (proxy for row in self.proxies for proxy in row):
            proxy.cut(Cut.OPEN)
        settings = {**plan.settings(), **subject.settings}
        with ExitStack() as lives:
            places = [
                Place(number, subject.app, folder, folder / state(number), self.proxies[number], settings, lives)
                for number in range(WORKERS)
            ]
            async with KafkaTransport(self.cluster.url) as kafka:
                await self._clear(kafka)
                campaign = Campaign(subject, kafka, self.cluster, places, say, exact=plan.guarantee == "exactly_once")
                return await campaign.run(schedule(plan.seed, plan.cycles, SESSION_TIMEOUT))

    async def _clear(self, kafka: Transport) -> None:
        """Each campaign begins with a cluster that holds nothing."""
        await kafka.admin.delete([topic.name for topic in await kafka.admin.list_topics()])


def state(number: int) -> str:
    return "state-shared" if number < SHARING else f"state-{number}"


@asynccontextmanager
async def arena(folder: Path) -> AsyncIterator[Arena]:
    ports = free_ports(WORKERS * NODES)
    advertised = [ports[worker * NODES : (worker + 1) * NODES] for worker in range(WORKERS)]
    async with AsyncExitStack() as stack:
        cluster = Cluster(folder, advertised)
        proxies = [
            [
                await stack.enter_async_context(Proxy(advertised[worker][node], cluster.behind[worker][node]))
                for node in range(NODES)
            ]
            for worker in range(WORKERS)
        ]
        await stack.enter_async_context(cluster)
        yield Arena(cluster, proxies)
