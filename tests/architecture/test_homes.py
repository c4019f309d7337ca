"""Each third-party package has one home in the source; nothing else imports it, and all of them are declared."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT, imported, python_files, relative

HOMES = {
    "aiohttp": ("streamz_actors/web/", "streamz_actors/query/router.py"),
    "aiokafka": ("streamz_actors/transport/kafka/",),
    "click": ("streamz_actors/cli/",),
    "cramjam": ("streamz_actors/serde/",),
    "cronsim": ("streamz_actors/worker/",),
    "google_crc32c": ("streamz_actors/transport/kafka/records.py",),
    "msgspec": ("streamz_actors/serde/",),
    "murmurhash2": ("streamz_actors/types.py",),
    "orjson": ("streamz_actors/serde/",),
    "pydantic": ("streamz_actors/serde/",),
    "rich": ("streamz_actors/cli/",),
    "rocksdict": ("streamz_actors/stores/rocksdb.py", "streamz_actors/stores/rocksdb/"),
    "uvloop": ("streamz_actors/cli/worker.py",),
}
"""Import name, and the files or folders that may import it."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.mark.parametrize("path", python_files("streamz_actors"), ids=relative)
def test_a_file_imports_third_party_packages_at_their_home_only(path: Path) -> None:
    packages = {name.partition(".")[0] for name in imported(path)} - sys.stdlib_module_names - {"streamz_actors"}
    strays = {name for name in packages if not relative(path).startswith(HOMES.get(name, ("nowhere",)))}
    assert strays == set()


def test_every_package_with_a_home_is_a_declared_dependency() -> None:
    extras = PROJECT["optional-dependencies"].values()
    declared = [*PROJECT["dependencies"], *(requirement for extra in extras for requirement in extra)]
    names = {re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("-", "_") for requirement in declared}
    assert HOMES.keys() <= names
    assert names - HOMES.keys() == {"tzdata"}, "declared, and imported nowhere"


def test_no_dependency_has_an_upper_bound() -> None:
    bounded = [one for one in PROJECT["dependencies"] if re.search(r"<|==|~=", one.partition(";")[0])]
    assert bounded == [], "a bound needs a reason; give it here"
