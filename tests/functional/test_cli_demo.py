"""Recipes and the demonstration, on a table that looks like avdigits and is made in no time."""

from pathlib import Path

import pytest
from cli_tables import SMALL, make_rows, write_csv


@pytest.fixture
def recipes(monkeypatch, tmp_path):
    """Asked for a data set, gives the small table; tells where it was to be kept."""
    asked = []

    def cached(name, root=None, *, progress=None):
        asked.append((name, root))
        rows = [
            {"image": row["photo"], "audio": row["sound"], "hint": row["note"], "label": k % 2, "split": side}
            for k, row in enumerate(make_rows(tmp_path / "data"))
            for side in ["train" if k % 5 else "test"]
        ]
        return write_csv(tmp_path / "data/table.csv", rows)

    monkeypatch.setattr("polymodal.datasets._cache.cached", cached)
    for name in ("POLYMODAL_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    return asked


def test_the_demonstration_compares_and_predicts(cli, recipes, tmp_path):
    settings = [setting for setting in SMALL if not setting.startswith("encoders.table")]
    done = cli("demo", "--folder", tmp_path / "kept", settings=settings)
    assert (done.code, done.err) == (0, "")
    assert recipes == [("avdigits", tmp_path / "kept")]
    lines = done.out.splitlines()
    header = next(line for line in lines if line.startswith("metric"))
    assert header.split("  ")[0] == "metric"
    for name in ("image only", "speech only", "fused", "linear", "majority"):
        assert name in header
    verdict = next(line for line in lines if "fused model" in line)
    assert "image only" in verdict or "speech only" in verdict
    assert "bootstrap" in verdict or "ties" in verdict
    start = next(k for k, line in enumerate(lines) if line.startswith("image ") and "predicted" in line)
    assert len([line for line in lines[start + 1 : start + 6] if ".png" in line]) == 5
    assert "seconds" in done.out


def test_a_wrong_setting_is_told_before_the_table_is_built(cli, recipes):
    done = cli("demo", settings=["train.epoch=3"])
    assert (done.code, done.out, recipes) == (2, "", [])
    assert "Did you mean 'epochs'?" in done.err


def test_building_a_data_set_says_what_it_is_and_where(cli, recipes, tmp_path, monkeypatch):
    done = cli("datasets", "build", "avdigits")
    assert done.code == 0
    assert recipes == [("avdigits", None)]
    assert "CC BY 4.0" in done.out and "part synthetic" in done.out
    assert done.out.splitlines()[-1].endswith(str(tmp_path / "data/table.csv"))
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    cli("datasets", "build", "avdigits")
    monkeypatch.setenv("POLYMODAL_CACHE", "/own")
    cli("datasets", "build", "avdigits")
    cli("datasets", "build", "avdigits", "--folder", "/said")
    assert [root for _, root in recipes[1:]] == [
        Path("/shared/polymodal/datasets"),
        Path("/own/datasets"),
        Path("/said"),
    ]


def test_data_sets_are_listed_with_licences(cli):
    done = cli("datasets", "list")
    assert done.code == 0
    for word in ("avdigits", "licence", "CC BY 4.0", "synthetic", "source"):
        assert word in done.out
