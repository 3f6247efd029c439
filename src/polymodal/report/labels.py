"""How well labels are found, of which a row may have any number."""

from __future__ import annotations

import numpy as np

from polymodal.abilities import Labels
from polymodal.codecs.previews import escaped
from polymodal.report import markup
from polymodal.report.ranking import precision_recall, ranking
from polymodal.report.subject import ReportedRun

_MOST_LABELS = 200  # of the table


def labels(subject: ReportedRun) -> str:
    """Curves, and a line for each label; nothing for other targets."""
    return "".join(_one(subject, outcome) for outcome in subject.outcomes if isinstance(outcome, Labels))


def _one(subject: ReportedRun, outcome: Labels) -> str:
    truth = outcome.target
    figures = ranking(subject, outcome.labels, outcome.probabilities, truth)
    order = np.argsort(-truth.sum(axis=0), kind="stable")
    rows = []
    for k in order[:_MOST_LABELS]:
        has, said = truth[:, k], outcome.predicted[:, k]
        hits, both = int((has & said).sum()), bool(has.any() and not has.all())
        recall, precision = precision_recall(outcome.probabilities[:, k], has) if both else (np.zeros(1), np.zeros(1))
        area = f"{(np.diff(recall, prepend=0) * precision).sum():.3f}" if both else "–"
        exact = [f"{hits / n:.3f}" if n else "–" for n in (int(said.sum()), int(has.sum()))]
        rows.append([escaped(outcome.labels[k]), area, markup.share(float(has.mean())), *exact, f"{int(has.sum()):,}"])
    header = ("label", "average precision", "share of rows", "precision", "recall", "rows")
    left = len(outcome.labels) - len(rows)
    note = markup.paragraph(f"The {len(rows)} most frequent labels; {left:,} more are not shown.") if left > 0 else ""
    return markup.columns(figures) + f"<h3>Each label</h3>{note}" + markup.table(header, rows, numbers=5)
