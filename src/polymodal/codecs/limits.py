"""Refuses media that are too large or too long, before they are decoded."""

from __future__ import annotations

from polymodal.errors import UnreadableCellError


def check_pixels(width: int, height: int, limit: int) -> None:
    """Raises an UnreadableCellError for a picture of more pixels than the limit."""
    if width * height > limit:
        raise UnreadableCellError(f"too large: {width} x {height} pixels, at most {limit:,} are let in")


def check_seconds(seconds: float | None, limit: float) -> None:
    """Raises an UnreadableCellError for what is longer than the limit; an unknown length passes."""
    if seconds is not None and seconds > limit:
        raise UnreadableCellError(f"too long: {seconds:,.0f} seconds, at most {limit:,g} are let in")
