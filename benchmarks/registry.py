"""All trials by name: those that `run` knows beside the workloads, those of `growth`, and `churn`."""

from typing import Final

from benchmarks import churn, growth, latency, querying, restoring, scaling
from benchmarks.trials import Trial

TRIALS: Final[dict[str, Trial]] = {
    trial.name: trial for trial in (latency.TRIAL, restoring.TRIAL, querying.TRIAL, *scaling.TRIALS)
}
GROWTH: Final[dict[str, Trial]] = {trial.name: trial for trial in growth.TRIALS}
ALL: Final = TRIALS | GROWTH | {churn.TRIAL.name: churn.TRIAL}
