"""The report of a run: one HTML file that needs no other, and loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from polymodal.abilities import Outcome, Reported
from polymodal.codecs.previews import escaped
from polymodal.errors import MissingExtraError, UsageError
from polymodal.report import markup
from polymodal.report.classes import classes
from polymodal.report.data import data, examples, rejects
from polymodal.report.drawing import Pen, as_json, require_matplotlib
from polymodal.report.labels import labels
from polymodal.report.learning import learning
from polymodal.report.mistakes import mistakes
from polymodal.report.numbers import numbers
from polymodal.report.previewer import Previewer
from polymodal.report.results import results
from polymodal.report.subject import ReportedRun
from polymodal.report.subsets import subsets
from polymodal.report.summary import summary
from polymodal.report.usage import construction, usage

if TYPE_CHECKING:
    from polymodal.pipeline.run import Run


def write(run: Run, path: Path, *, bundle: Path | str = "bundle", interactive: bool = False) -> int:
    """Writes the report of a run.

    Args:
        run: as `polymodal.pipeline.run.train` gives it.
        path: of the HTML file.
        bundle: where the model was saved, for the commands that the report shows.
        interactive: figures by plotly, which adds about 5 MB; the page then runs that code, and no other.

    Returns:
        Its size in bytes.

    Raises:
        MissingExtraError: matplotlib, or plotly, is not installed.
        UsageError: the file cannot be written.
    """
    require_matplotlib()
    script = _plotly() if interactive else ""
    schema, config = run.bundle.schema, run.bundle.config
    found = outcomes(run)
    previewer = Previewer(run.table, schema.features(), config.limits)
    subject = ReportedRun(run, found, Pen(interactive=interactive), previewer, str(bundle))
    page = _page(subject, script).encode("utf-8", "backslashreplace")
    try:
        path.write_bytes(page)
    except OSError as error:
        raise UsageError(f"Cannot write the report to {path}: {error.strerror}.") from error
    return len(page)


def outcomes(run: Run) -> list[Outcome]:
    """What was predicted beside what is true, of the measured rows whose target is known, as far as the task says."""
    task, measured, target = run.bundle.task, run.measured, run.bundle.schema.target
    if measured is None or measured.target is None or target is None or not isinstance(task, Reported):
        return []
    known = measured.target.present
    if not bool(known.any()):
        return []
    rows = measured.rows[known.numpy()]
    return list(task.outcomes(measured.prediction.rows(known), measured.target.rows(known), rows, name=target.name))


def _page(subject: ReportedRun, script: str) -> str:
    parts = {
        "results": ("Results", results(subject)),
        "learning": ("Learning", learning(subject)),
        "details": ("Where it is right", classes(subject) + labels(subject) + numbers(subject)),
        "subsets": ("Without some inputs", subsets(subject)),
        "mistakes": ("The worst mistakes", mistakes(subject)),
        "data": ("Data", data(subject)),
        "examples": ("Rows to look at", examples(subject)),
        "rejects": ("What could not be read", rejects(subject)),
        "model": ("The model", construction(subject)),
        "use": ("How to use it", usage(subject)),
    }
    links = "".join(f'<a href="#{name}">{title}</a>' for name, (title, html) in parts.items() if html)
    sections = "".join(markup.section(name, title, html) for name, (title, html) in parts.items())
    style = resources.files("polymodal.report").joinpath("page.css").read_text(encoding="utf-8")
    top = summary(subject)
    scripts, sources = _scripts(subject.pen, script)
    policy = f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src {sources}"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>{escaped(subject.target)} · Polymodal report</title><style>{style}</style></head>"
        f'<body><nav aria-label="Sections"><a href="#top">Summary</a>{links}</nav>'
        f"<main>{top}{sections}<footer>This page shows rows of the data: pass it on only where they may go."
        f"</footer></main>{scripts}</body></html>\n"
    )


def _scripts(pen: Pen, library: str) -> tuple[str, str]:
    """What plotly needs, and what the page's policy lets run: these scripts, by their hashes."""
    if not pen.figures:
        return "", "'none'"
    draw = resources.files("polymodal.report").joinpath("page.js").read_text(encoding="utf-8")
    data = f'<script type="application/json" id="plots">{as_json(pen.figures)}</script>'
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (library, draw)]
    sources = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return f"{data}<script>{library}</script><script>{draw}</script>", sources


def _plotly() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingExtraError("plotly", "plots", "an interactive report") from error
    return str(get_plotlyjs())
