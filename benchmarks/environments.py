"""The environment of each contender: a venv of its own under .envs, made anew when its requirements change."""

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE / ".envs"


def python_of(contender: str) -> Path:
    """The interpreter to start a contender with. Ours runs in this project's own environment."""
    requirements = HERE / contender / "requirements.txt"
    if not requirements.exists():
        return Path(sys.executable)
    home = ENVIRONMENTS / contender
    python, stamp = home / "bin" / "python", home / "prepared"
    wanted = fingerprint(requirements)
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"preparing the environment of {contender} ...", file=sys.stderr)
        run([sys.executable, "-m", "venv", "--clear", str(home)])
        run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)])
        stamp.write_text(wanted)
    return python


def fingerprint(requirements: Path) -> str:
    return hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def versions_of(contender: str) -> dict[str, str]:
    """The packages that a contender's requirements name, as they are pinned there."""
    requirements = HERE / contender / "requirements.txt"
    pins = (line.partition("#")[0].strip().partition("==") for line in requirements.read_text().splitlines())
    return {name: version for name, _, version in pins if name}
