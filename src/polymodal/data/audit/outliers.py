"""Cells far from all others: numbers, brightness of pictures, length and loudness of recordings, length of texts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from polymodal.codecs.outlier_bounds import is_beyond
from polymodal.data.audit.finding import SHOWN, Finding, number
from polymodal.data.audit.sentinels import sentinel_rows
from polymodal.data.audit.subject import AuditedTable

_FEWEST = 20  # cells
_MOST_SHARE = 0.05  # more cells than that are a long tail, not outliers


def check(subject: AuditedTable) -> Iterator[Finding]:
    """One finding for each figure of a column, with the farthest cells first."""
    sentinels = sentinel_rows(subject)
    for name, profiles in subject.profiles.items():
        told = np.isin(profiles.rows, sentinels.get(name, []))
        rows = profiles.rows[~told]
        for figure, measured in profiles.measures.items():
            values = measured[~told]
            if len(values) < _FEWEST:
                continue
            far = np.flatnonzero(is_beyond(values, values))
            if not 0 < len(far) <= _MOST_SHARE * len(values):
                continue
            far = far[np.argsort(-np.abs(values[far] - np.median(values)), kind="stable")]
            shown = ", ".join(f"{value:.6g}" for value in values[far[:SHOWN]])
            what = (
                f"{figure}: {number(len(far), 'cell')} far from all others (median {np.median(values):.4g}): "
                f"{shown}{', ...' if len(far) > SHOWN else '.'}"
            )
            advice = "Look at them. clean.outliers clips or drops outlying numbers."
            yield subject.finding("outliers", "note", what, advice, columns=(name,), rows=rows[far])
