"""Finds a target whose cells are quantities, though written so that a task takes them for classes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polymodal.codecs.dates import read_date
from polymodal.codecs.notation import Numerals, are_measures, numerals_of
from polymodal.codecs.numerals import is_plain, is_total, means_missing, short, take_apart
from polymodal.data.target.class_names import is_missing
from polymodal.errors import UnreadableCellError

_FEW = 20  # different cells; fewer, if they come again, may well be classes
_FEW_OF_SURE = 10  # the same where the cells are written as amounts are, and hardly as names
_FEWEST = 10  # cells
_SHOWN_UNITS = 4
_LOOKED_AT = 4_000  # cells
_DURATION = re.compile(r"[0-9]{1,3}:[0-5][0-9](:[0-5][0-9])?([.,][0-9]+)?|[0-9]{1,3} ?(h|hrs?|:|m|min) ?[0-5][0-9]")
_TWO_UNITS = re.compile(r"[0-9]+ ?(?:ft|'|′|’|m|lbs?|st) ?[0-9]{1,2}")
_PAIR = re.compile(r"[0-9]{1,3}(?:\.[0-9]+)? ?/ ?[0-9]{1,3}(?:\.[0-9]+)?")
_UNDERSCORES = re.compile(r"[+-]?[0-9]{1,3}(?:_[0-9]{3})+(?:\.[0-9]+)?")
_WITH_ERROR = re.compile(r"[-+]?[0-9][0-9.,]* ?(?:±|\+/-|\+-) ?[0-9][0-9.,]*")
_EXACT = r"[-+]?[0-9]{1,3}[.,][0-9]{2,}"
_ANGLE = re.compile(
    rf"[NSEWO] ?{_EXACT}°?|{_EXACT} ?[NSEWO]|[-+]?[0-9]{{1,3}}(?:[.,][0-9]+)? ?°[^A-Za-z]{{0,20}}[NSEWO]?"
)
_MONEY = re.compile(r"[-+]?[0-9][0-9.,]* ?(?:[kKmM]|Mio\.?|Mrd\.?|bn) ?[€$£]")
_RANGE = re.compile(r"(?P<low>.*?[0-9])\s*(?:-|–|—|\.\.|\bto\b)\s*(?P<high>[0-9].*)")
_MARK = re.compile(r"(?:[~≈<>≤≥±*]|ca\.?|approx\.?|about)=?\s*(?P<front>.+)|(?P<behind>.+?)\s*[*+?†~]")
_REGRESS = "--set task=regress"


@dataclass(frozen=True)
class OddTarget:
    """What is odd about how the cells of a target are written.

    Attributes:
        what: a sentence without the column's name.
        advice: what to do, in a sentence.
        rows: that it is about; none where it is about most of them.
    """

    what: str
    advice: str
    rows: tuple[int, ...] = ()


def odd_target(cells: Sequence[object]) -> OddTarget | None:
    """Why a target that is learned as classes may be one of numbers, dates or durations; None of ordinary classes.

    >>> odd_target([f"{row} kg" if row % 2 else f"{row} cm" for row in range(30)]).what
    'most cells are numbers, but with different units: cm (15), kg (15).'
    """
    texts = [cell for cell in cells if not is_missing(cell) and not isinstance(cell, bool)]
    if len(texts) < _FEWEST or not any(isinstance(cell, str) for cell in texts):
        return None
    texts = texts[:: 1 + len(texts) // _LOOKED_AT]
    found = numerals_of(texts)
    if found.mostly:
        return _odd_classes(cells) if found.notation.plain else None
    distinct = len(set(map(str, texts)))
    words = [cell for cell in texts if isinstance(cell, str)]
    if distinct <= _FEW and 2 * distinct <= len(texts):
        sure = amounts(words) if distinct > _FEW_OF_SURE else None
        return None if sure is None else _told(*sure, words, len(texts))
    return _of_another_kind(words, len(texts)) or (None if found.codes else _nearly_numbers(found, texts, words))


def _odd_classes(cells: Sequence[object]) -> OddTarget | None:
    """Words among classes that are numbers, which are learned as classes of their own."""
    odd = [row for row, cell in enumerate(cells) if isinstance(cell, str) and cell.strip() and not is_plain(cell)]
    if not odd or all(means_missing(str(cells[row])) or is_total(str(cells[row])) for row in odd):
        return None  # left out as unreadable
    count = "1 cell is a word" if len(odd) == 1 else f"{len(odd):,} cells are words"
    what = f"{count} among classes that are numbers, such as {short(str(cells[odd[0]]))}, learned as any other class."
    advice = f"Repair them if they are numbers; or read the target as numbers, without these rows: {_REGRESS}."
    return OddTarget(what, advice, tuple(odd))


def amounts(words: Sequence[str]) -> tuple[str, Callable[[str], bool], str] | None:
    """What most cells are, if they are amounts that no column of numbers can hold: name, test and what to do.

    >>> amounts(["1h30", "2h15", "0h45"])[0], amounts(["A1", "B2"])
    ('durations', None)
    """
    kinds: tuple[tuple[str, Callable[[str], bool], str], ...] = (
        ("durations", _is_duration, "Write them as numbers, such as of minutes"),
        ("numbers of two units", _is(_TWO_UNITS), "Write them in one unit"),
        ("pairs of numbers", _is(_PAIR), "Write each number in a column of its own"),
        ("numbers with underscores between thousands", _is(_UNDERSCORES), "Take the underscores off"),
        ("numbers with an error", _is(_WITH_ERROR), "Write the error in a column of its own"),
        ("angles", _is(_ANGLE), "Write them as degrees with decimals"),
        ("sums of money in thousands or millions", _is(_MONEY), "Write the amount in full"),
        ("numbers with marks around them", _is_marked, "Take the marks off"),
    )
    return next((kind for kind in kinds if words and all(kind[1](word.strip()) for word in words)), None)


def _is(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda word: pattern.fullmatch(word) is not None


def _told(name: str, is_one: Callable[[str], bool], advice: str, words: Sequence[str], total: int) -> OddTarget:
    ones = [word for word in words if is_one(word.strip())]
    what = f"{len(ones):,} of {total:,} cells are {name}, such as {short(ones[0])}, and would be classes."
    return OddTarget(what, f"{advice}, then add {_REGRESS}. If they are classes: --set task=classify.")


def _of_another_kind(words: Sequence[str], total: int) -> OddTarget | None:
    """Dates, durations, ranges or marked numbers."""
    if (sure := amounts(words)) is not None:
        return _told(*sure, words, total)
    kinds: tuple[tuple[str, Callable[[str], bool], str], ...] = (
        ("durations", _is_duration, "Write them as numbers, such as of minutes"),
        ("dates", _is_date, "Write them as numbers, such as of days or years"),
        ("ranges of numbers", _is_range, "Write one number for each, such as the middle"),
        ("numbers with marks around them", _is_marked, "Take the marks off"),
    )
    for name, is_one, advice in kinds:
        if 2 * sum(is_one(word.strip()) for word in words) >= total:
            return _told(name, is_one, advice, words, total)
    return None


def _nearly_numbers(found: Numerals, texts: Sequence[object], words: Sequence[str]) -> OddTarget | None:
    """Numbers of several units or notations, or beside words."""
    written = [(word, one) for word in words if not is_plain(word) and (one := take_apart(word)) is not None]
    plain = sum(not isinstance(cell, str) or is_plain(cell) for cell in texts)
    if 2 * (len(written) + plain) < len(texts):
        return None
    units = Counter(" ".join(sorted(one.units)) for _, one in written)
    units[""] += plain
    units = +units
    if len(units) > 1 and not are_measures(units):
        return None  # words behind numbers, such as `12 Main St` or `7b`
    if len(units) > 1:
        named = ", ".join(f"{unit or 'none'} ({count:,})" for unit, count in units.most_common(_SHOWN_UNITS))
        unit, count = next((unit, count) for unit, count in units.most_common() if unit)
        what = f"most cells are numbers, but with different units: {named}."
        alone = f"To learn from those in {unit} alone ({count:,}): {_REGRESS} --set task.unit='{unit}'"
        advice = f"Write all in one unit. {alone}."
        return OddTarget(what, advice)
    if len(written) + plain > found.numbers:
        what = f"{len(written) + plain:,} of {len(texts):,} cells are numbers, but with different decimal marks."
        advice = f"Write all in one way. To leave the others out: {_REGRESS} --set task.decimal=comma (or point)."
        return OddTarget(what, advice)
    other = next((word for word in words if take_apart(word) is None and not means_missing(word)), "")
    what = (
        f"{found.numbers:,} of {found.cells:,} cells are numbers, too few to be learned as such beside {short(other)}."
    )
    advice = f"To learn numbers, without the other rows: {_REGRESS}. If they are classes: --set task=classify."
    return OddTarget(what, advice)


def _is_date(word: str) -> bool:
    try:
        return not is_plain(word) and read_date(word, "day_first").days is not None
    except UnreadableCellError:
        return False


def _is_duration(word: str) -> bool:
    return _DURATION.fullmatch(word) is not None


def _is_range(word: str) -> bool:
    found = _RANGE.fullmatch(word)
    return found is not None and all(take_apart(found[end]) is not None for end in ("low", "high"))


def _is_marked(word: str) -> bool:
    found = _MARK.fullmatch(word)
    return found is not None and take_apart(found["front"] or found["behind"]) is not None
