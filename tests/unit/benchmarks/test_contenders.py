"""Who competes where, how each is started, what its environment is made of. Nothing is installed, built or started."""

import sys
from pathlib import Path

import pytest

from benchmarks import environments
from benchmarks.contenders import BASELINES, OURS, Contender, competing
from benchmarks.environments import HERE, fingerprint, java_of, python_of, stamp, versions_of
from benchmarks.machine import kafka

ALL = frozenset(baseline.name for baseline in BASELINES)
BY_NAME = {contender.name: contender for contender in (*OURS, *BASELINES)}


def program(contender: Contender, first: str) -> Path:
    """The file behind what a contender starts with."""
    if contender.folder == "ours":
        return HERE / "ours" / f"{first.rpartition('.')[2]}.py"
    if first.endswith(".py"):
        return HERE / contender.folder / first
    return HERE / contender.folder / "src/main/java" / f"{first.replace('.', '/')}.java"


def test_every_contender_has_its_files() -> None:
    for contender in (*OURS, *BASELINES):
        for first, *_ in contender.programs.values():
            assert program(contender, first).exists()
    assert all(versions_of(baseline.folder) for baseline in BASELINES)


def test_contenders_compete_where_they_have_a_program() -> None:
    ours, others = ["ours-agent", "ours-dsl"], ["hand", "kstreams", "quix"]
    for workload, baselines in (("W1", [*others, "faust"]), ("W2", [*others, "faust"]), ("W4", others)):
        assert [contender.name for contender in competing(workload, ALL)] == [*ours, *baselines]
    for workload, baselines in (("W3", others), ("W3h", ["quix"]), ("W3j", ["kstreams"]), ("W9", [])):
        assert [contender.name for contender in competing(workload, ALL)] == ["ours-dsl", *baselines]
    assert [contender.name for contender in competing("W2", frozenset({"hand"}))] == [*ours, "hand"]
    assert [contender.name for contender in competing("W8", ALL)] == ["ours-agent"]


def test_slow_contenders_get_a_share_of_the_records() -> None:
    assert BY_NAME["hand"].records(1_000_000) == BY_NAME["kstreams"].records(1_000_000) == 1_000_000
    assert BY_NAME["quix"].records(1_000_000) == 150_000
    assert BY_NAME["faust"].records(1_000_000) == 20_000
    assert BY_NAME["faust"].records(1) == 1


def test_a_contender_may_name_its_output_itself() -> None:
    assert BY_NAME["quix"].output("W2", "usual") == "changelog__{group}--{input}--default"
    assert BY_NAME["quix"].output("W1", "usual") == BY_NAME["hand"].output("W2", "usual") == "usual"


def test_only_what_compiles_as_it_runs_warms_up() -> None:
    assert [contender.name for contender in (*OURS, *BASELINES) if contender.warms_up] == ["kstreams"]


def test_kafka_streams_has_the_version_of_the_broker() -> None:
    assert versions_of("kstreams")["kafka-streams"] == kafka()


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Environments that are complete already; making one anew is an error."""

    def refuse(command: list[str]) -> None:
        raise RuntimeError(command[0])

    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(environments, "run", refuse)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    made_of = {
        "hand": fingerprint([HERE / "hand" / "requirements.txt"], sys.version),
        "kstreams": fingerprint([HERE / "kstreams" / "pom.xml", *sorted((HERE / "kstreams").rglob("*.java"))]),
    }
    for name, content in made_of.items():
        (tmp_path / name).mkdir()
        stamp(tmp_path / name).write_text(content)
    return tmp_path


def test_each_kind_of_contender_is_started_in_its_environment(prepared: Path) -> None:
    assert BY_NAME["ours-dsl"].command("W4") == [
        sys.executable, "-m", "streamz_actors", "-A", "benchmarks.ours.enrich_dsl", "worker"
    ]  # fmt: skip
    assert BY_NAME["hand"].command("W4") == [str(prepared / "hand/bin/python"), str(HERE / "hand" / "enrich.py")]
    java, *_, jars, main, workload = BY_NAME["kstreams"].command("W4")
    assert (java, jars, main, workload) == ("java", f"{prepared}/kstreams/jars/*", "benchmarks.Main", "enrich")


def test_a_changed_environment_is_made_anew(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("hand", "kstreams"):
        stamp(prepared / name).write_text("made of something else")
    with pytest.raises(RuntimeError, match=sys.executable):
        python_of("hand")
    with pytest.raises(RuntimeError, match=sys.executable):  # scripts/kafka, which brings Java and Maven
        java_of("kstreams")
    assert "preparing the environment of hand" in capsys.readouterr().err
