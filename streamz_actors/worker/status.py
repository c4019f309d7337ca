"""The states of a worker.

    STARTING ──provisioned, globals loaded──▶ RUNNING ──stop()──▶ DRAINING ──committed, left──▶ STOPPED
                                                 └──a failure──▶ STOPPED (and `run` raises it)
"""

import enum


class WorkerStatus(enum.Enum):
    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"
