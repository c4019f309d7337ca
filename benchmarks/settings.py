"""What all contenders have in common: each setting once, handed to them through the environment."""

from typing import Final

PARTITIONS: Final = 4
"""Of every topic: input, output, changelog."""

KEYS: Final = 100_000
"""Different accounts among the orders."""

COMMIT_INTERVAL: Final = 1.0
"""Seconds between two commits of offsets (and of what must be delivered before them)."""

EXACT_INTERVAL: Final = 0.1
"""The same of ours under exactly-once (`-eos`): its default."""

BATCH_BYTES: Final = 512 * 1024
"""The largest batch that a producer makes."""

MEDIAN_CENTS: Final = 50_000
"""Amounts are uniform from 1 to twice this: a filter above it keeps half."""

WAIT: Final = 0.010
"""Seconds of I/O that the handler of W8 waits for, per record."""

CONCURRENCY: Final = 256
"""Handlers of W8 per partition."""

TABLE: Final = (
    ("process", "one each, with one thread that processes; each in an environment of its own"),
    ("runtime", "CPython 3.11; kstreams: Java 17 with its default heap and collector, num.stream.threads=1"),
    ("event loop", "uvloop (hand, ours); asyncio's own (Faust, its default)"),
    ("clients", "aiokafka (hand, ours, Faust); librdkafka (Quix); Apache's (kstreams)"),
    ("broker", "one node of Apache Kafka, as scripts/kafka starts it, on the same machine"),
    ("topics", f"{PARTITIONS} partitions, replication 1, no retention limit; changelogs and tables compacted"),
    ("records", f"JSON orders of about 140 bytes, {KEYS:,} keys, Zipf (s = 1), but uniform in W3j, W3w, W8, W9; event "
     "times are a millisecond apart, in order"),
    ("table of W4", f"{KEYS:,} rows of JSON of about 110 bytes, partitioned as the orders and older than them"),
    ("table of W4, read by", "hand: a dict, filled first; ours-agent: a look-up in the handler; ours-dsl, kstreams: a "
     "join of stream and table (KTable); Quix: join_asof, what it has for a table in a topic"),
    ("commit interval", f"{COMMIT_INTERVAL:g} s: first what was sent is delivered, then offsets are committed"),
    ("guarantee", f"at least once; ours-…-eos: exactly once, a transaction every {EXACT_INTERVAL:g} s"),
    ("producer", f"acks=all, no compression, {BATCH_BYTES} bytes a batch; idempotent, but for Faust, which cannot; "
     "linger: none (aiokafka), 5 ms (librdkafka's default), 100 ms (Kafka Streams' default)"),
    ("consumer", "1 MiB per partition and fetch; hand: stock getmany without a limit of records; kstreams: 1,000 "
     "records a poll, Quix: one, as they do by default"),
    ("windows of W3, W3h, W3s, W3w", "no grace; kept as long as they take records, which is everybody's default; every "
     "update goes to the output at once: kstreams with statestore.cache.max.bytes=0, Quix by current(). Key of an "
     "update: the account, then end and start (ours, hand, sessions of kstreams), the start (other windows of "
     "kstreams), or nothing (Quix: both are in the value); its partition is the account's"),
    ("W3j", "the second topic: a JSON shipment of about 100 bytes for each order, 2 to 8 s later; from 0 to 10 s "
     "after an order they meet, which is 1.1 shipments an order; grace: 1 s; records of both topics count"),
    ("decoding in W1, W3, W4", "into a typed object: msgspec (hand, ours), Jackson (kstreams), faust.Record; Quix: "
     "into a dict, by orjson, its default. In W2 nobody reads the value"),
    ("encoding", "W1: the bytes go on as they came (hand; ours, as a value that nobody can have changed), encoded anew "
     "(kstreams, Quix, Faust). W4: an object of four fields (Quix: a dict), encoded by all"),
    ("state", "RocksDB with a compacted changelog (ours, kstreams, Quix, Faust); a dict with a changelog (hand); hand "
     "in W3: dicts, no changelog; W4: no changelog but the table's topic, only join_asof has one of its own"),
    ("caches", "ours: committed values, 50,000 a partition; kstreams: statestore.cache.max.bytes, 10 MiB, its default; "
     "updates of a key between two commits are written once, but by Faust, and by kstreams when its cache is full"),
    ("garbage collector", "gc.freeze() after start (hand, ours); ours also looks at young objects less often"),
    ("compared with", "a baseline's whole run; with kstreams' second half, when its code is compiled (\"warm\")"),
    ("W5", "the producers and consumers of W1, at 1,000 records a second; a fetch ends with the first byte"),
    ("W6", "a changelog of 1,000,000 keys in no order, each once; bare: one RocksDB, memtables as large as ours"),
    ("W7", f"a table of {KEYS:,} rows in RocksDB; JSON answers on keep-alive connections, no pipelining; Faust: a page "
     "with table_route, as its documentation shows it"),
    ("web server", "off, but in W6 and W7"),
)
"""Name and value, for the report."""
