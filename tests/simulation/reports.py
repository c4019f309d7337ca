"""What is said of a violation: the schedule, and the command that does it again."""

from dataclasses import asdict

from streamz_actors.testing import Faults
from tests.simulation import schedules
from tests.simulation.cases import CASES
from tests.simulation.runs import Outcome
from tests.simulation.schedules import Schedule


def report(outcome: Outcome) -> str:
    schedule = outcome.schedule
    return f"seed {schedule.seed}: {outcome.violation}\n{described(schedule)}\n    {command(schedule)}"


def described(schedule: Schedule) -> str:
    head = f"{CASES[schedule.case].name}, {schedule.guarantee}, {schedule.workers} workers"
    settings = f"commit_interval={schedule.commit_interval:g}, standby_replicas={schedule.standbys}"
    network = _written(schedule.faults, ", ")
    actions = " ".join(map(str, schedule.actions))
    return f"    {head}, {settings}; {network}\n    {actions}"


def command(schedule: Schedule) -> str:
    """The arguments that make this schedule of its seed's."""
    own = schedules.make(schedule.seed, len(CASES))
    parts = [f"scripts/simulate --seed {schedule.seed}"]
    if schedule.guarantee != own.guarantee:
        parts.append(f"--guarantee {schedule.guarantee}")
    if schedule.faults != own.faults:
        parts.append(f"--faults {_written(schedule.faults, ',')}")
    if schedule.actions != own.actions:
        parts.append(f"--keep '{','.join(str(action.number) for action in schedule.actions)}'")
    return " ".join(parts)


def _written(faults: Faults, separator: str) -> str:
    """What is not as usual; all that there is, where nothing is."""
    usual = asdict(Faults())
    unusual = {name: value for name, value in asdict(faults).items() if value != usual[name]}
    return separator.join(f"{name}={value:g}" for name, value in (unusual or {"delay": faults.delay}).items())
