"""Executes what the docs show and keeps its outputs: `python docs/execute.py [NAME ...]`, then `docs/generate.py`.

NAME is a notebook of `examples/notebooks` or `tutorial`; without names all are executed. The tutorial trains for a
minute and draws pictures; its picture of the report needs chromium, and stays as it is where there is none.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

DOCS = Path(__file__).parent
NOTEBOOKS = DOCS.parent / "examples/notebooks"
TUTORIAL = DOCS / "tutorial/index.md"
_SECONDS = 600  # for one cell
_BLOCK = re.compile(r"^```(shell|py|text)([^\n]*)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_DRAW = """
import matplotlib.pyplot as plt
import soundfile
from PIL import Image
import polymodal as pm
table = pm.read_table("data/avdigits-1/table.csv")
figure, axes = plt.subplots(2, 6, figsize=(7, 2.6))
for row, (above, below) in enumerate(axes.T):
    above.imshow(Image.open(table.folder / table.values("image")[row]), cmap="gray")
    above.set_title(f"{table.values('label')[row]}: {table.values('hint')[row]}", fontsize=8)
    wave, rate = soundfile.read(table.folder / table.values("audio")[row])
    below.specgram(wave + 1e-6, NFFT=256, Fs=rate, noverlap=128)
    above.axis("off"), below.axis("off")
figure.tight_layout()
figure.savefig("rows.png", dpi=100)
"""


def executed(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of now.

    Raises:
        CellExecutionError: a cell ended in an error.
    """
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, timeout=_SECONDS, resources={"metadata": {"path": str(path.parent)}})
    asyncio.run(client.async_execute())
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def tutorial(page: str, folder: Path) -> str:
    """The page with the outputs of now. Its commands and its code run in the folder, in their order.

    A block of text with a title is a file, which is written; one without is the output of what stands before it.
    """
    outputs: list[str] = []
    names: dict[str, object] = {}

    def fresh(found: re.Match[str]) -> str:
        kind, info, text = found.groups()
        if kind == "text" and "title=" not in info:
            return f"```text\n{outputs.pop()}```\n" if outputs else found[0]
        outputs.clear()
        if kind == "shell":
            outputs.append("".join(_command(line, folder) for line in text.replace("\\\n", " ").splitlines()))
        elif kind == "py":
            out = io.StringIO()
            with contextlib.chdir(folder), contextlib.redirect_stdout(out):
                exec(compile(text, "tutorial", "exec"), names)  # noqa: S102 - our own page
            outputs.append(out.getvalue())
        else:
            (folder / info.partition('"')[2].rstrip('"')).write_text(text, encoding="utf-8")
        return found[0]

    return _BLOCK.sub(fresh, page)


def _command(line: str, folder: Path) -> str:
    """What a command prints. Progress, which goes to standard error, is shown and not kept."""
    program, *words = shlex.split(line)
    command = [sys.executable, "-m", "polymodal.cli.main", *words] if program == "polymodal" else [program, *words]
    variables = {**os.environ, "COLUMNS": "110", "PYTHONPATH": str(DOCS.parent / "src")}
    done = subprocess.run(command, cwd=folder, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"


def _pictures(folder: Path) -> None:
    """Draws some rows, and takes a picture of the report."""
    subprocess.run([sys.executable, "-c", _DRAW], cwd=folder, check=True)
    if (browser := shutil.which("chromium")) is not None:
        options = ("--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=1000,1300")
        shot = f"--screenshot={folder / 'report.png'}"
        subprocess.run(
            [browser, *options, shot, (folder / "run/report.html").as_uri()], check=True, capture_output=True
        )
    for path in folder.glob("*.png"):
        few_colours = Image.open(path).convert("RGB").convert("P", palette=Image.Palette.ADAPTIVE)
        few_colours.save(TUTORIAL.parent / path.name, optimize=True)


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["tutorial", *sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))]
    for name in wanted:
        if name != "tutorial":
            file = NOTEBOOKS / f"{name}.ipynb"
            nbformat.write(executed(file), file)
            continue
        with tempfile.TemporaryDirectory() as temporary:
            made = tutorial(TUTORIAL.read_text(encoding="utf-8"), Path(temporary))
            TUTORIAL.write_text(made, encoding="utf-8")
            _pictures(Path(temporary))
