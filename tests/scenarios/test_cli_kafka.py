"""The command line on a real Kafka: a record goes straight to the broker, a bounded run ends where the topics end."""

import json
import uuid
from pathlib import Path

import pytest

from tests.kafka_server import kafka_url as kafka_url
from tests.scenarios.cli_process import command, worker
from tests.scenarios.cli_process import shop as shop

pytestmark = pytest.mark.kafka


@pytest.fixture
def settings(kafka_url: str, shop: Path) -> list[str]:
    """The application of `shop` under names that no other test uses, on Kafka."""
    name = f"shop-{uuid.uuid4().hex}"
    path = shop / "shop.py"
    source = path.read_text("utf-8").replace('"shop"', f'"{name}"').replace('"orders"', f'"{name}-orders"')
    path.write_text(source, "utf-8")
    return ["--broker", kafka_url]


def test_records_sent_before_a_bounded_run_are_handled_by_it(shop: Path, settings: list[str]) -> None:
    topic = command(shop, "-A", "shop", "topics", "--json").stdout
    (orders,) = [row["name"] for row in json.loads(topic) if row["kind"] == "topic"]
    early = command(shop, "-A", "shop", "send", orders, "1.5", "-k", "alice", *settings)
    assert (early.returncode, "a worker makes it when it starts" in early.stderr) == (1, True)
    assert command(shop, "-A", "shop", "run", "--bounded", *settings).returncode == 0
    for amount in ("1.5", "2.5"):
        sent = command(shop, "-A", "shop", "send", orders, amount, "-k", "alice", "--json", *settings)
        assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout)["offset"] == 1
    beyond = command(shop, "-A", "shop", "send", orders, "1", "--partition", "9", *settings)
    assert (beyond.returncode, "there is no partition 9" in beyond.stderr) == (1, True)
    assert command(shop, "-A", "shop", "run", "--bounded", *settings).returncode == 0
    with worker(shop, *settings) as running:
        found = command(shop, "query", "totals", "alice", "--url", running.url)
    assert found.stdout == "4.0\n"
