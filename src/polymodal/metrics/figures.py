"""Figures, intervals and p values as people read them."""

from __future__ import annotations

from polymodal.metrics.bootstrap import Interval


def figure(value: float, *, signed: bool = False) -> str:
    """A figure for people: three digits after the point, of large ones four in all."""
    sign = "+" if signed else ""
    value = 0.0 if abs(value) < 0.0005 else value  # no -0.000
    return f"{value:{sign}.3f}" if abs(value) < 10 else f"{value:{sign}.4g}"


def between(interval: Interval, *, signed: bool = False) -> str:
    """A value with its interval: `0.931 [0.906, 0.953]`."""
    value, low, high = (figure(part, signed=signed) for part in (interval.value, interval.low, interval.high))
    return f"{value} [{low}, {high}]"


def of_p(p: float) -> str:
    """A p value for people."""
    return "<0.001" if p < 0.001 else f"{p:.3f}"
