"""The wheel that `make wheel` builds is whole: installed by itself into an empty folder, Polymodal works from there."""

import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from polymodal import __version__

ROOT = Path(__file__).parents[2]


def run(*words: object, folder: Path, **variables: str) -> str:
    """What a program prints that ends well."""
    command = [sys.executable, *map(str, words)]
    environment = {**os.environ, **variables}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from the source archive, as `make wheel` does, so that the archive is known to be whole as well."""
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "build", "--no-isolation", "--outdir", folder, ROOT, folder=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """An empty folder with nothing but the contents of the wheel; what it depends on is where it always is."""
    folder = tmp_path_factory.mktemp("installed")
    run("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder, wheel, folder=folder)
    return folder


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = ROOT / "src/polymodal"
    files = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert names == {str(path.relative_to(ROOT / "src")) for path in files}
    assert {Path(name).suffix for name in names} >= {".py", ".html", ".css", ".js", ".typed"}


def test_its_metadata_are_complete_and_its_description_can_be_shown(wheel):
    (name,) = (name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".dist-info/METADATA"))
    metadata = Parser().parsestr(zipfile.ZipFile(wheel).read(name).decode())
    assert (metadata["Name"], metadata["Version"]) == ("polymodal", __version__)
    assert all(metadata[field] for field in ("Summary", "License-Expression", "Requires-Python", "Keywords"))
    assert metadata["Description-Content-Type"] == "text/markdown" and "# Polymodal" in metadata.get_payload()
    run("-m", "twine", "check", "--strict", *wheel.parent.iterdir(), folder=wheel.parent)


def test_the_version_is_written_in_one_place():
    found = [path for path in (ROOT / "src").rglob("*.py") if f'"{__version__}"' in path.read_text(encoding="utf-8")]
    assert found == [ROOT / "src/polymodal/__init__.py"]
    assert "\nversion =" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_what_is_installed_trains_and_writes_its_report(installed, tmp_path):
    rows = [f"{k % 2 + 0.01 * k:.2f},{('cheap', 'dear')[k % 2]}" for k in range(40)]
    (tmp_path / "data.csv").write_text("\n".join(["price,label", *rows]) + "\n", encoding="utf-8")

    def polymodal(*words: str) -> str:
        return run(installed / "bin/polymodal", *words, folder=tmp_path, PYTHONPATH=str(installed))

    home = run("-c", "import polymodal; print(polymodal.__file__)", folder=tmp_path, PYTHONPATH=str(installed))
    assert Path(home.strip()).is_relative_to(installed)
    assert polymodal("--version").split() == ["polymodal", __version__]
    assert "train" in polymodal("--help")
    polymodal("train", "data.csv", "--target", "label", "-o", "run", "--set", "train.epochs=1")
    assert "<html" in (tmp_path / "run/report.html").read_text(encoding="utf-8")
