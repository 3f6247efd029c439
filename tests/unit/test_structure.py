"""What every file of the repository keeps to; import cycles and layers are import-linter's (`make check`)."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = sorted(path.relative_to(ROOT) for folder in ("src", "tests") for path in (ROOT / folder).rglob("*.py"))
MOST_LINES = 400
VAGUE = ("util", "utils", "helper", "helpers", "common", "misc", "base", "manager")


def test_there_are_files_to_check():
    assert Path("src/polymodal/models/model.py") in FILES
    assert Path("tests/unit/test_structure.py") in FILES


def test_no_file_is_too_long_to_read():
    long = {str(path): number for path in FILES if (number := len((ROOT / path).read_text().splitlines())) > MOST_LINES}
    assert not long


def test_packages_reexport_nothing_but_the_public_api():
    full = [path for path in FILES if path.name == "__init__.py" and (ROOT / path).stat().st_size]
    assert full == [Path("src/polymodal/__init__.py"), Path("src/polymodal/testing/__init__.py")]


def test_the_top_of_the_package_is_short_and_the_readme_maps_all_of_it():
    top = ROOT / "src" / "polymodal"
    files = {path.name for path in top.glob("*.py")}
    folders = {f"{path.parent.name}/" for path in top.glob("*/__init__.py")}
    assert len(files) <= 9
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    drawn = readme.split("src/polymodal/\n", 1)[1].split("```")[0]
    mapped = set(re.findall(r"^  (\S+)", drawn, flags=re.MULTILINE))
    assert mapped == (files | folders) - {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("word", VAGUE)
def test_a_name_says_what_a_file_holds(word):
    named = [path for path in FILES if any(word in part.removesuffix(".py").split("_") for part in path.parts)]
    assert not named


def test_test_files_can_be_told_apart_by_name():
    names = [path.name for path in FILES if path.parts[0] == "tests" and path.name != "conftest.py"]
    assert len(names) == len(set(names))


def test_a_public_class_is_called_like_no_other():
    """Parts of a kind in different folders (`cnn` for images, `cnn` for audio) may share theirs, and their settings."""
    homes: dict[str, list[Path]] = {}
    for path in (path for path in FILES if path.parts[0] == "src"):
        for name in re.findall(r"^class ([A-Z]\w*)", (ROOT / path).read_text(encoding="utf-8"), flags=re.MULTILINE):
            part = "".join(word.capitalize() for word in path.stem.split("_"))
            if name not in (part, f"{part}Config") or "encoders" not in path.parts:
                homes.setdefault(name, []).append(path)
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_one_training_can_be_followed_in_few_files():
    """The architecture page lists them, in the order in which a reader opens them."""
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \d+ \| `([^`]+)` \|", page, flags=re.MULTILINE)
    assert 0 < len(listed) <= 25
    assert [name for name in listed if not (ROOT / "src" / "polymodal" / name).is_file()] == []
    assert [name for name in listed if name not in page.split("| # |")[0]] == []  # each is in the drawing
    assert len((ROOT / "src" / "polymodal" / "pipeline" / "run.py").read_text(encoding="utf-8").splitlines()) <= 60
