"""Times of words as files: WebVTT and SRT for players, TextGrid for Praat, JSON for programs."""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator, Mapping, Sequence

from polymodal.inference.timing import TimedText, TimedWord

_LONGEST, _PAUSE, _SECONDS = 42, 0.8, 7.0  # characters of a cue, silence that ends one, seconds of one


def vtt(text: TimedText) -> str:
    """WebVTT (W3C): cues of some words each."""
    blocks = [
        f"{_clock(cue[0].start, '.')} --> {_clock(cue[-1].end, '.')}\n{html.escape(_line(cue), quote=False)}"
        for cue in cues(text.words)
    ]
    return "\n\n".join(["WEBVTT", *blocks]) + "\n"


def srt(text: TimedText) -> str:
    """SubRip: numbered cues of some words each."""
    return "\n".join(
        f"{number}\n{_clock(cue[0].start, ',')} --> {_clock(cue[-1].end, ',')}\n{_line(cue)}\n"
        for number, cue in enumerate(cues(text.words), start=1)
    )


def textgrid(text: TimedText) -> str:
    """A TextGrid of Praat: one tier of words, intervals without gaps, silence between them empty."""
    intervals: list[tuple[float, float, str]] = []
    at = 0.0
    for word in text.words:
        if word.start > at:
            intervals.append((at, word.start, ""))
        at = max(word.end, at)
        intervals.append((max(word.start, intervals[-1][1] if intervals else 0.0), at, word.text))
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {at:.6f}",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        '        name = "words"',
        "        xmin = 0",
        f"        xmax = {at:.6f}",
        f"        intervals: size = {len(intervals)}",
    ]
    for number, (start, end, words) in enumerate(intervals, start=1):
        quoted = words.replace('"', '""')
        lines += [
            f"        intervals [{number}]:",
            f"            xmin = {start:.6f}",
            f"            xmax = {end:.6f}",
            f'            text = "{quoted}"',
        ]
    return "\n".join(lines) + "\n"


def as_json(text: TimedText) -> str:
    """One object: the words with start, end (seconds), confidence and characters; loss; refusal."""
    return json.dumps(plain(text), ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def plain(text: TimedText) -> dict[str, object]:
    """The same as JSON values; what is unknown is null."""
    return {
        "words": [
            {
                "text": word.text,
                "start": round(word.start, 4),
                "end": round(word.end, 4),
                "confidence": _known(word.confidence),
                "characters": [
                    {"text": sign, "start": round(start, 4), "end": round(end, 4), "confidence": _known(sure)}
                    for sign, start, end, sure in word.characters
                ],
            }
            for word in text.words
        ],
        "loss": _known(text.loss),
        "refusal": text.refusal,
    }


WRITERS: Mapping[str, Callable[[TimedText], str]] = {"vtt": vtt, "srt": srt, "textgrid": textgrid, "json": as_json}
ENDINGS: Mapping[str, str] = {"vtt": ".vtt", "srt": ".srt", "textgrid": ".TextGrid", "json": ".json"}


def cues(words: Sequence[TimedWord]) -> Iterator[list[TimedWord]]:
    """Words in groups that fit a line of a subtitle, with no long pause inside."""
    cue: list[TimedWord] = []
    for word in words:
        full = cue and (
            len(_line([*cue, word])) > _LONGEST
            or word.start - cue[-1].end > _PAUSE
            or word.end - cue[0].start > _SECONDS
        )
        if full:
            yield cue
            cue = []
        cue.append(word)
    if cue:
        yield cue


def _line(cue: Sequence[TimedWord]) -> str:
    return " ".join(word.text for word in cue)


def _clock(seconds: float, point: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    thousandths = round(seconds * 1000)
    whole, rest = divmod(thousandths, 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{point}{rest:03}"


def _known(value: float) -> float | None:
    return round(value, 4) if value == value else None  # noqa: PLR0124 (NaN)
