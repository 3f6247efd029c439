"""Numbers as people read them."""

from __future__ import annotations

import math


def share(value: float) -> str:
    """A share of one, between 0 and 1: `93.1 %`."""
    return f"{100 * value:.1f} %"


def amount(value: float | int) -> str:
    """A number with few digits: `1,234`, `0.031`, `1.2e-05`."""
    if math.isnan(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.3f}" if 0.001 <= abs(value) < 1_000 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def figure(value: float) -> str:
    """A metric: `0.931`, `1.000`, `54,890`, `0.00012`; `–` where it is undefined (NaN)."""
    if math.isnan(value):
        return "–"
    if 1e-9 < abs(value) < 5e-4:
        return f"{value:.2g}"
    return f"{value:.3f}" if abs(value) < 1_000 else f"{value:,.0f}"
