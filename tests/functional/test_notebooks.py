"""The notebooks run from beginning to end, and the outputs that they hold are of the cells that they hold."""

import asyncio
import warnings
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

FOLDER = Path(__file__).parents[2] / "examples/notebooks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def kinds(cell) -> list[str]:
    """What a cell shows: text, pictures, tables; warnings and progress aside."""
    outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    return [",".join(sorted(output.get("data", {"text": ""}))) for output in outputs]


@pytest.fixture
def executed(monkeypatch):
    """A notebook with the outputs of now, by its name."""
    monkeypatch.setenv("PYTHONPATH", str(FOLDER.parents[1] / "src"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def run(name):
        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(FOLDER)}})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of the kernel's client
            asyncio.run(client.async_execute())
        return notebook

    return run


def test_there_are_three_and_each_begins_with_a_title():
    assert len(NAMES) == 3
    for name in NAMES:
        first = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells[0]
        assert first.cell_type == "markdown" and first.source.startswith("# ")


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs_and_shows_what_it_holds(name, executed):
    stored = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    now = executed(name)
    assert [kinds(cell) for cell in now.cells if cell.cell_type == "code"] == [
        kinds(cell) for cell in stored.cells if cell.cell_type == "code"
    ], f"run: python docs/execute.py {name}; python docs/generate.py"
    counts = [cell.execution_count for cell in stored.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))  # run once, in order
