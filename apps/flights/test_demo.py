"""The demo's options that exclude each other are refused before anything starts."""

import pytest

from apps.flights import demo


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--workers", "3"], "--workers needs --kafka: the embedded broker lives inside one process"),
        (["--kafka", "kafka://nowhere:1", "--workers", "0"], "--workers must be at least 1"),
        (["--kafka", "kafka://nowhere:1", "--workers", "3", "--port", "0"], "needs as many ports, from --port 0"),
        (["--kafka", "kafka://nowhere:1", "--workers", "3", "--port", "65534"], "from --port 65534 upwards"),
        (["--kafka", "kafka://nowhere:1", "--workers", "many"], "invalid int value: 'many'"),
    ],
)
def test_workers_that_cannot_be_are_refused(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        demo.main(arguments)
    assert ended.value.code == 2
    assert reason in " ".join(capsys.readouterr().err.split())
