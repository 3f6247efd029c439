"""Refuses media that are too large or too long, before they are decoded."""

from __future__ import annotations

from polymodal.errors import UnreadableCellError

_RATES = range(1_000, 384_001)  # Hz; outside of it a header is broken or made to do harm


def check_pixels(width: int, height: int, limit: int) -> None:
    """Refuses a picture of more pixels than the limit.

    Raises:
        UnreadableCellError: too large.
    """
    if width * height > limit:
        raise UnreadableCellError(f"too large: {width} x {height} pixels, at most {limit:,} are let in")


def check_seconds(seconds: float | None, limit: float) -> None:
    """Refuses what is longer than the limit; an unknown length passes.

    Raises:
        UnreadableCellError: too long.
    """
    if seconds is not None and seconds > limit:
        raise UnreadableCellError(f"too long: {seconds:,.0f} seconds, at most {limit:,g} are let in")


def check_rate(rate: int) -> None:
    """Refuses a sample rate outside of 1 to 384 kHz.

    Raises:
        UnreadableCellError: too low or too high.
    """
    if rate not in _RATES:
        raise UnreadableCellError(f"a sample rate of {rate} Hz; {_RATES[0]} to {_RATES[-1]} are let in")
