"""Times of words as files that players and Praat read."""

from __future__ import annotations

import json
import math
import re

import pytest

from polymodal.inference.subtitles import WRITERS, cues
from polymodal.inference.timing import TimedText, TimedWord

WORDS = (
    TimedWord("Hello", 0.5, 0.9, 0.9, (("h", 0.5, 0.6, 0.9),)),
    TimedWord("<b> & 7", 1.0, 1.4, math.nan),
    TimedWord('say "no"', 3661.25, 3662.0, 0.5),
)
TEXT = TimedText(WORDS, loss=0.25)


def test_vtt_holds_cues_with_clocks_and_escapes_marks() -> None:
    lines = WRITERS["vtt"](TEXT).splitlines()
    assert lines[0] == "WEBVTT"
    assert "00:00:00.500 --> 00:00:01.400" in lines
    assert "01:01:01.250 --> 01:01:02.000" in lines
    assert "Hello &lt;b&gt; &amp; 7" in lines


def test_srt_is_numbered_with_commas() -> None:
    blocks = WRITERS["srt"](TEXT).strip().split("\n\n")
    assert [block.split("\n")[0] for block in blocks] == ["1", "2"]
    assert blocks[0].split("\n")[1] == "00:00:00,500 --> 00:00:01,400"


def test_a_textgrid_has_no_gaps() -> None:
    text = WRITERS["textgrid"](TEXT)
    starts = [float(found) for found in re.findall(r"^ {12}xmin = (\S+)", text, re.MULTILINE)]
    ends = [float(found) for found in re.findall(r"^ {12}xmax = (\S+)", text, re.MULTILINE)]
    assert starts[0] == 0
    assert starts[1:] == ends[:-1]
    assert f"intervals: size = {len(starts)}" in text
    assert 'text = "say ""no"""' in text


def test_json_says_null_for_what_is_unknown() -> None:
    found = json.loads(WRITERS["json"](TEXT))
    assert found["words"][1]["confidence"] is None
    assert found["words"][0]["characters"][0] == {"text": "h", "start": 0.5, "end": 0.6, "confidence": 0.9}
    assert found["loss"] == 0.25
    refused = json.loads(WRITERS["json"](TimedText((), refusal="there is no sound")))
    assert (refused["words"], refused["loss"], refused["refusal"]) == ([], None, "there is no sound")


@pytest.mark.parametrize("kind", WRITERS)
def test_nothing_said_is_an_empty_file_of_its_kind(kind: str) -> None:
    assert isinstance(WRITERS[kind](TimedText(())), str)


def test_cues_are_short_and_hold_no_long_pause() -> None:
    words = [TimedWord(f"word{place:02}", 0.5 * place, 0.5 * place + 0.4, 1.0) for place in range(40)]
    found = list(cues(words))
    assert [word for cue in found for word in cue] == words
    assert all(len(" ".join(word.text for word in cue)) <= 42 for cue in found)
    assert all(cue[-1].end - cue[0].start <= 7 for cue in found)
    late = [words[0], TimedWord("late", 5.0, 5.5, 1.0)]
    assert [len(cue) for cue in cues(late)] == [1, 1]
