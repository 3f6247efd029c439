"""A stranger's test: the how-to pages on parts are carried out as written, in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)
TRAIN = """
import numpy as np
import polymodal
from polymodal import registry
from polymodal.bundles import bundle
from polymodal.config import run_config as config
from polymodal.pipeline import run
from polymodal.data.tables.table import read_table
from polymodal.inference.predictor import predict

rows = {
    "note": ["cheap thing of wood", "made of solid gold", "a wooden thing", "gold and silver", None] * 8,
    "price": [1.0, 30.0, None, 28.5, 31.0] * 8,
    "label": ["cheap", "dear", "cheap", "dear", "dear"] * 8,
}


def train(**settings):
    made = config.make({"target": "label", "train": {"epochs": 2, "final": "best"}, **settings})
    trained = run.train(rows, made).bundle
    bundle.save(trained, "bundle")
    again = predict(bundle.load("bundle"), rows).prediction.values
    assert np.isfinite(again).all() and np.array_equal(again, predict(trained, rows).prediction.values)
    return trained
"""


def files(page: str) -> dict[str, str]:
    """The files that a page tells the reader to write."""
    return dict(FILE.findall((ROOT / "docs/how-to" / page).read_text(encoding="utf-8")))


def python(*words: str, path: Path, folder: Path) -> str:
    """What a new process prints that finds packages in `path` first, then those of this checkout."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(path), str(ROOT / "src"))),
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def checkout_with(page: str, folder: Path) -> Path:
    """A copy of the package with the one new file of a page; gives the folder to import from."""
    shutil.copytree(ROOT / "src/polymodal", folder / "src/polymodal", ignore=shutil.ignore_patterns("__pycache__"))
    before = {file.relative_to(folder) for file in folder.rglob("*.py")}
    [(name, code)] = files(page).items()
    assert Path(name) not in before
    (folder / name).write_text(code, encoding="utf-8")
    return folder / "src"


@pytest.fixture(scope="module")
def with_median(tmp_path_factory) -> Path:
    return checkout_with("add-a-fusion.md", tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def with_count(tmp_path_factory) -> Path:
    return checkout_with("add-a-task.md", tmp_path_factory.mktemp("checkout"))


def test_a_new_fusion_is_one_new_file(with_median, tmp_path):
    script = f"""{TRAIN}
assert polymodal.__file__.startswith({str(with_median)!r})
assert "median" in registry.names("fusions")
assert config.override(config.RunConfig(), ["fusion=median", "fusion.width=64"]).fusion.settings == {{"width": 64}}
trained = train(fusion={{"name": "median", "width": 16}})
[fusion] = [part for part in trained.model.modules() if type(part).__name__ == "Median"]
assert fusion.width == 16
"""
    python("-c", script, path=with_median, folder=tmp_path)


def test_a_new_fusion_is_known_to_the_command_line(with_median, tmp_path):
    listed = python("-m", "polymodal.cli.main", "list", "fusions", path=with_median, folder=tmp_path)
    assert "median" in listed.split()


def test_a_new_fusion_is_found_by_the_contract_tests(with_median):
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contracts/test_fusion_contract.py", "-k", "median"]
    assert "1 passed" in python(*words, path=with_median, folder=ROOT)


@pytest.mark.parametrize("stage", ["intermediate", "late"])
def test_a_new_task_is_one_new_file(with_count, tmp_path, stage):
    script = f"""{TRAIN}
rows["visits"] = [0, 7, 1, 5, 9] * 8
trained = train(target="visits", task="count", stage={stage!r}, fusion="average", drop=["label"])
assert trained.config.train.early_stopping.metric == "poisson_deviance"
assert trained.metrics.test["poisson_deviance"].value < 10
counts = predict(trained, rows).columns["prediction"]
assert (counts > 0).all()
nothing = predict(trained, {{"note": [None], "price": [None]}}).columns["prediction"][0]
assert abs(nothing - trained.schema.target.statistics["mean"]) < 1e-5
"""
    python("-c", script, path=with_count, folder=tmp_path)


def test_a_new_task_is_found_by_the_contract_tests(with_count):
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contracts/test_task_contract.py", "-k", "count"]
    assert "1 passed" in python(*words, path=with_count, folder=ROOT)


@pytest.fixture(scope="module")
def with_textconv(tmp_path_factory) -> Path:
    """The package of the page as an installer would leave it; gives the folder to import from."""
    folder = tmp_path_factory.mktemp("site")
    written = files("add-an-encoder.md")
    project = tomllib.loads(written.pop("pyproject.toml"))["project"]
    information = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    information.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (information / "METADATA").write_text(metadata, encoding="utf-8")
    groups = [
        "\n".join([f"[{group}]", *(f"{name} = {place}" for name, place in entries.items())])
        for group, entries in project["entry-points"].items()
    ]
    (information / "entry_points.txt").write_text("\n\n".join(groups) + "\n", encoding="utf-8")
    for name, code in written.items():
        (folder / name).write_text(code, encoding="utf-8")
    return folder


def test_an_encoder_by_entry_point(with_textconv, tmp_path):
    script = f"""{TRAIN}
assert "conv" in registry.names("encoders/text")
trained = train(encoders={{"text": "conv"}}, columns={{"note": {{"modality": "text"}}}})
assert type(trained.model.encoders["note"]).__name__ == "TextConv"
"""
    python("-c", script, path=with_textconv, folder=tmp_path)
    listed = python("-m", "polymodal.cli.main", "list", "encoders", path=with_textconv, folder=tmp_path)
    assert "text/conv" in listed.split()
    without = f"""
from polymodal import errors
from polymodal.bundles import bundle
try:
    bundle.load({str(tmp_path / "bundle")!r})
except errors.BundleError as error:
    assert "no text encoder is called 'conv'" in str(error), error
else:
    raise AssertionError("loaded without the package")
"""
    python("-c", without, path=ROOT / "src", folder=tmp_path)


def test_an_encoder_by_entry_point_keeps_the_contract(with_textconv):
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(with_textconv), "test_textconv.py"]
    assert "1 passed" in python(*words, path=with_textconv, folder=with_textconv)
