"""The commands of the tutorial run as they stand, one after the other, on a table that looks like avdigits."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from cli_tables import SMALL, make_rows, write_csv

PAGE = (Path(__file__).parents[2] / "docs/tutorial/index.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def workplace(monkeypatch, tmp_path) -> Path:
    """The current folder, in which `datasets build` makes the small table."""

    def cached(name, root=None, *, progress=None):
        folder = Path(root) / f"{name}-1"
        rows = make_rows(folder / "media")
        return write_csv(folder / "table.csv", [
            {"id": k, "image": f"media/{row['photo']}", "audio": f"media/{row['sound']}",
             "hint": "an odd number" if k % 2 else "an even number", "label": k % 2,
             "split": "train" if k % 5 else "test"}
            for k, row in enumerate(rows)
        ])  # fmt: skip

    monkeypatch.setattr("polymodal.datasets._cache.cached", cached)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_tutorial_runs_as_it_stands(cli, workplace, capsys):
    small = [setting for setting in SMALL if not setting.startswith("encoders.text")]
    verbs, code = [], []
    for kind, info, text in BLOCK.findall(PAGE):
        if "title=" in info:
            (workplace / info.partition('"')[2].rstrip('"')).write_text(text, encoding="utf-8")
        elif kind == "py":
            code.append(text)
            exec(compile(text, "tutorial", "exec"), {})
        elif kind == "shell":
            for words in (shlex.split(line) for line in text.splitlines() if line.startswith("polymodal ")):
                done = cli(*words[1:], settings=small if words[1] == "train" else [])
                assert done.code == 0, done.err
                verbs.append(words[1])
    assert verbs == ["datasets", "inspect", "train", "predict"] and code
    assert "unreadable" in (workplace / "predictions.csv").read_text(encoding="utf-8")  # as the page says
    assert (workplace / "run/report.html").exists()


def test_every_command_of_the_tutorial_is_followed_by_what_it_prints():
    """But for the one that only writes files; the outputs are real, so none is empty."""
    shown = [(kind, text) for kind, info, text in BLOCK.findall(PAGE) if "title=" not in info]
    for (kind, text), (after, output) in pairwise(shown):
        if kind in {"shell", "py"}:
            assert after == "text" and output.strip(), text
