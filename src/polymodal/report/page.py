"""The report of a run: one HTML file that needs no other, and loads nothing from anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from polymodal.abilities import Reported
from polymodal.codecs.previews import escaped, words
from polymodal.errors import UsageError, needs_extra
from polymodal.report.alignment import alignment
from polymodal.report.classes import classes, labels
from polymodal.report.data import data, examples
from polymodal.report.drawing import Pen, require_matplotlib
from polymodal.report.formatting import duration, figure, number, share
from polymodal.report.inputs import inputs
from polymodal.report.mistakes import mistakes, texts
from polymodal.report.model import construction, training, usage
from polymodal.report.numbers import numbers
from polymodal.report.subject import Previewer, ReportedRun, Section
from polymodal.report.subsets import subsets
from polymodal.report.summary import results, summary
from polymodal.report.warnings import rejects, warnings
from polymodal.types import Outcome

if TYPE_CHECKING:
    from polymodal.pipeline.run import Run

_SECTIONS: tuple[Callable[[ReportedRun], Section | None], ...] = (
    results, classes, labels, numbers, inputs, subsets, texts, alignment, mistakes, rejects, training, data, examples,
    construction, usage,
)  # fmt: skip


def write(run: Run, path: Path, *, bundle: Path | str = "bundle", interactive: bool = False) -> None:
    """Writes the report of a run.

    Args:
        run: as `polymodal.pipeline.run.train` gives it.
        path: of the HTML file.
        bundle: where the model was saved, for the commands that the report shows.
        interactive: figures by plotly, which adds about 5 MB; the page then runs that code, and no other.

    Raises:
        MissingExtraError: matplotlib, or plotly, is not installed.
        UsageError: the file cannot be written.
    """
    require_matplotlib()
    library = _plotly() if interactive else ""
    previewer = Previewer(run.table, run.bundle.schema.features(), run.bundle.config.limits)
    subject = ReportedRun(run, outcomes(run), Pen(interactive=interactive), previewer, str(bundle))
    page = _page(subject, library).encode("utf-8", "backslashreplace")
    try:
        path.write_bytes(page)
    except OSError as error:
        raise UsageError(f"Cannot write the report to {path}: {error.strerror}.") from error


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


def _page(subject: ReportedRun, library: str) -> str:
    templates = _templates()

    def rendered(section: Section) -> Markup:
        html = templates.get_template(f"{section.name}.html").render(section.context)
        return Markup(html)  # noqa: S704 - the template has escaped what it shows

    top, first = summary(subject), warnings(subject)
    sections = [section for make in _SECTIONS if (section := make(subject)) is not None]
    scripts = [library, _file("page.js")] if subject.pen.figures else []
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    return templates.get_template("page.html").render(
        title=top.title,
        style=Markup(_file("page.css")),  # noqa: S704 - of this package
        target=top.context["target"],
        kind=top.context["kind"],
        warnings=None if first is None else rendered(first),
        summary=rendered(top),
        sections=[(section, rendered(section)) for section in sections],
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - plotly's, and of this package
        digests=digests,
        figures=subject.pen.figures,
    )


def _templates() -> Environment:
    """Of this package; text becomes part of a page only escaped, and an unknown name is an error."""
    found = Environment(
        loader=PackageLoader("polymodal.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"number": number, "duration": duration, "excerpt": _excerpt, "figure": figure, "share": share}
    found.policies["json.dumps_kwargs"] = {"allow_nan": False}
    return found


def _visible(value: object) -> object:
    """Text as `escaped` writes it, which also shows control characters; all else as it is."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return Markup(escaped(value))  # noqa: S704
    return value


def _excerpt(text: str) -> Markup:
    return Markup(words(text))  # noqa: S704 - escaped there


def _file(name: str) -> str:
    """The text of a file beside this one."""
    return resources.files("polymodal.report").joinpath(name).read_text(encoding="utf-8")


def _plotly() -> str:
    with needs_extra("plotly", "plots", "an interactive report"):
        from plotly.offline import get_plotlyjs
    return str(get_plotlyjs())
