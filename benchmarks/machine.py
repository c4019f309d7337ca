"""What a result depends on: the machine, the versions, the command."""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.contenders import BASELINES
from benchmarks.environments import HERE, versions_of

OURS = ("aiokafka", "aiohttp", "google-crc32c", "msgspec", "orjson", "rocksdict", "murmurhash2", "uvloop")


def describe(arguments: list[str]) -> dict[str, Any]:
    return {
        "kind": "machine",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["python -m benchmarks", *arguments]),
        "commit": commit(),
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "system": platform.platform(),
        "python": platform.python_version(),
        "kafka": kafka(),
        "versions": {
            "ours": {name: version(name) for name in OURS},
            **{folder: versions_of(folder) for folder in sorted({baseline.folder for baseline in BASELINES})},
        },
    }


def machine_line(arguments: list[str]) -> str:
    return json.dumps(describe(arguments))


def commit() -> str:
    done = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def kafka() -> str:
    """The version that scripts/kafka brings."""
    script = HERE.parent / "scripts" / "kafka"
    line = next(line for line in script.read_text().splitlines() if line.startswith("VERSION = "))
    return line.partition('"')[2].rstrip('"')


if __name__ == "__main__":
    print(machine_line(sys.argv[1:]))
