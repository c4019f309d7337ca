"""What all contenders have in common: each setting once, handed to them through the environment."""

from typing import Final

PARTITIONS: Final = 4
"""Of every topic: input, output, changelog."""

KEYS: Final = 100_000
"""Different accounts among the orders."""

COMMIT_INTERVAL: Final = 1.0
"""Seconds between two commits of offsets (and of what must be delivered before them)."""

BATCH_BYTES: Final = 512 * 1024
"""The largest batch that a producer makes."""

MEDIAN_CENTS: Final = 50_000
"""Amounts are uniform from 1 to twice this: a filter above it keeps half."""

WAIT: Final = 0.010
"""Seconds of I/O that the handler of W8 waits for, per record."""

CONCURRENCY: Final = 256
"""Handlers of W8 per partition."""

TABLE: Final = (
    ("Python", "3.11, each contender in an environment of its own, one process, one thread of Python"),
    ("event loop", "uvloop (hand, ours); asyncio's own (Faust, its default)"),
    ("broker", "one node of Apache Kafka, as scripts/kafka starts it, on the same machine"),
    ("topics", f"{PARTITIONS} partitions, replication 1, no retention limit; changelogs compacted"),
    ("records", f"JSON orders of about 140 bytes, {KEYS:,} keys, Zipf (s = 1) in W1 and W2, uniform in W8"),
    ("commit interval", f"{COMMIT_INTERVAL:g} s: first what was sent is delivered, then offsets are committed"),
    ("producer", f"acks=all, no compression, {BATCH_BYTES} bytes a batch; idempotent, but for Faust, which cannot"),
    ("consumer", "aiokafka's defaults: 1 MiB per partition and fetch; hand: stock getmany without a limit of records"),
    ("decoding", "typed, by msgspec (hand, ours), in W1; in W2 nobody reads the value"),
    ("state", "RocksDB with a compacted changelog (ours, Faust); a dict with a changelog (hand)"),
    ("garbage collector", "gc.freeze() after start (hand, ours); ours also looks at young objects less often"),
    ("web server", "off"),
)
"""Name and value, for the report."""
