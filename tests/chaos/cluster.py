"""A Kafka of three nodes, each broker and controller, that can be killed, stopped in order and started again.

Everything is kept three times and acknowledged by two, so that one node may be missing at any moment. Besides the
listener for the harness and the brokers themselves each node has one listener per worker, which it advertises as the
port of that worker's proxy: all that a worker says to Kafka goes through proxies of its own.
"""

import asyncio
import base64
import random
import socket
import struct
import subprocess
import sys
import time
import uuid
from pathlib import Path

from tests.integration.processes import ROOT

NODES = 3
PORTS = range(11_000, 32_000)
START_TIMEOUT = 120.0
STOP_TIMEOUT = 40.0
FLAGS = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners={listeners}
advertised.listeners={advertised}
controller.listener.names=CONTROLLER
listener.security.protocol.map={protocols}
inter.broker.listener.name=DIRECT
log.dirs={data}
num.network.threads=1
auto.create.topics.enable=false
default.replication.factor=3
min.insync.replicas=2
offsets.topic.num.partitions=3
offsets.topic.replication.factor=3
transaction.state.log.num.partitions=3
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.initial.task.delay.ms=86400000
"""


def free_ports(count: int) -> list[int]:
    """So many, by chance, of those that the system gives to nobody by itself.

    A broker comes back to its ports after seconds, and what connects to something must not have taken one meanwhile.
    """
    chance, found = random.SystemRandom(), set[int]()
    while len(found) < count:
        port = chance.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            found.add(port)
    return sorted(found)


def kafka_jars() -> Path:
    """The folder with Kafka's jars; fetched if it has to be."""
    script = [sys.executable, str(ROOT / "scripts" / "kafka"), "libs"]
    return Path(subprocess.run(script, capture_output=True, text=True, check=True).stdout.strip())


class Node:
    """One of them: a Java process, its log and its data."""

    def __init__(self, number: int, folder: Path, java: list[str], port: int) -> None:
        self.number, self.port = number, port
        self._java, self._folder = java, folder
        self._process: subprocess.Popen[bytes] | None = None
        self.properties = folder / "server.properties"

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        with (self._folder / "kafka.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*self._java, *FLAGS, "kafka.Kafka", str(self.properties)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    async def until_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while not await asyncio.to_thread(answers, self.port):
            if not self.runs or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka's node {self.number} did not start; see {self._folder}/kafka.log")
            await asyncio.sleep(0.1)

    async def stop(self) -> None:
        """In order: it hands its partitions over first."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            await asyncio.to_thread(self._process.wait, STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def answers(port: int) -> bool:
    """Whether the broker says which requests it knows (ApiVersions 0): accepting a connection comes earlier."""
    request = struct.pack(">ihhih", 10, 18, 0, 1, -1)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(request)
            return len(connection.recv(8)) > 0
    except OSError:
        return False


class Cluster:
    """Use as `async with`. `behind[worker][node]` is the port where a node hears that worker's proxy."""

    def __init__(self, folder: Path, advertised: list[list[int]]) -> None:
        """`advertised[worker][node]`: the ports of the proxies."""
        workers = len(advertised)
        self._ports = free_ports(NODES * (2 + workers))
        own = [self._ports[node * (2 + workers) : (node + 1) * (2 + workers)] for node in range(NODES)]
        self.behind = [[own[node][2 + worker] for node in range(NODES)] for worker in range(workers)]
        java = ["java", "-cp", f"{kafka_jars()}/*"]
        self.nodes: list[Node] = []
        voters = ",".join(f"{node + 1}@127.0.0.1:{own[node][1]}" for node in range(NODES))
        names = ["DIRECT", *(f"WORKER{worker}" for worker in range(workers))]
        for number, (direct, controller, *behind) in enumerate(own):
            home = folder / f"node-{number}"
            home.mkdir(parents=True)
            node = Node(number, home, java, direct)
            listening = dict(zip(names, [direct, *behind], strict=True))
            said = dict(zip(names, [direct, *(ports[number] for ports in advertised)], strict=True))
            node.properties.write_text(
                PROPERTIES.format(
                    node=number + 1,
                    voters=voters,
                    listeners=addresses(listening | {"CONTROLLER": controller}),
                    advertised=addresses(said),
                    protocols=",".join(f"{name}:PLAINTEXT" for name in [*names, "CONTROLLER"]),
                    data=home / "data",
                )
            )
            self.nodes.append(node)
        self._format = [*java, "kafka.tools.StorageTool", "format"]

    @property
    def url(self) -> str:
        """Past all proxies."""
        return "kafka://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    async def __aenter__(self) -> "Cluster":
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        for node in self.nodes:
            command = [*self._format, f"--cluster-id={cluster}", "-c", str(node.properties)]
            await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True)
        try:
            for node in self.nodes:
                node.launch()
            await asyncio.gather(*(node.until_ready() for node in self.nodes))
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for node in self.nodes:
            node.kill()


def addresses(ports: dict[str, int]) -> str:
    return ",".join(f"{name}://127.0.0.1:{port}" for name, port in ports.items())
