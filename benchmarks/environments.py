"""The environment of each contender: a venv or a folder of jars below .envs, made anew when it is to be another."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
ENVIRONMENTS = HERE / ".envs"
KAFKA = HERE.parent / "scripts" / "kafka"
POM = "{http://maven.apache.org/POM/4.0.0}"


def python_of(contender: str) -> Path:
    """The interpreter to start a contender with."""
    home, requirements = ENVIRONMENTS / contender, HERE / contender / "requirements.txt"
    python, wanted = home / "bin" / "python", fingerprint([requirements], sys.version)
    if prepared(home) != wanted:
        print(f"preparing the environment of {contender} ...", file=sys.stderr)
        run([sys.executable, "-m", "venv", "--clear", str(home)])
        run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements)])
        stamp(home).write_text(wanted)
    return python


def java_of(contender: str) -> list[str]:
    """The command that starts Java with all jars of a contender's pom.xml; a class's name follows."""
    home, folder = ENVIRONMENTS / contender, HERE / contender
    pom, wanted = folder / "pom.xml", fingerprint([folder / "pom.xml", *sorted(folder.rglob("*.java"))])
    if prepared(home) != wanted:
        print(f"building {contender} ...", file=sys.stderr)
        run([sys.executable, str(KAFKA), "libs"])  # brings Java and Maven to a machine that has neither
        run(["mvn", "-q", "-B", "-f", str(pom), "clean", "package", f"-Dhome={home}"])
        stamp(home).write_text(wanted)
    java = os.environ.get("JAVA_HOME")
    command = str(Path(java) / "bin" / "java") if java else "java"
    return [command, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", f"{home / 'jars'}/*"]


def stamp(home: Path) -> Path:
    """Says what an environment was made of; written when it is complete."""
    return home / "prepared"


def prepared(home: Path) -> str | None:
    return stamp(home).read_text() if stamp(home).exists() else None


def fingerprint(files: Sequence[Path], *more: str) -> str:
    content = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(content + "".join(more).encode()).hexdigest()


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def versions_of(contender: str) -> dict[str, str]:
    """The packages that a contender's requirements or its pom.xml name, as they are pinned there."""
    pom = HERE / contender / "pom.xml"
    if pom.exists():
        dependencies = ElementTree.parse(pom).iter(f"{POM}dependency")
        found = ((entry.findtext(f"{POM}artifactId"), entry.findtext(f"{POM}version")) for entry in dependencies)
        return {name: version for name, version in found if name and version}
    lines = (HERE / contender / "requirements.txt").read_text().splitlines()
    pins = (line.partition("#")[0].strip().partition("==") for line in lines)
    return {name: version for name, _, version in pins if name}
