"""Finds out how the numbers of a column are written: by most of its cells, never by one."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from numbers import Real

import numpy as np

from polymodal.codecs.numerals import (
    PLAIN,
    Notation,
    WrittenNumber,
    body_value,
    is_lone_group,
    is_plain,
    means_missing,
    take_apart,
    value_of,
)
from polymodal.codecs.units import SYSTEMS, factor_of, is_known, is_letter

MOST = 0.9  # of the cells make the type of a column; of few cells one may differ
_FEWEST = 3  # cells that outweigh one other
_CANDIDATES = (  # of equals the first: a lone comma before three digits stands between thousands
    PLAIN,
    Notation("point", "comma"),
    Notation("comma"),
    Notation("comma", "point"),
    Notation("point", "blank"),
    Notation("comma", "blank"),
    Notation("point", "apostrophe"),
    Notation("comma", "apostrophe"),
)
_MOST_PLAIN = 2_000  # plain numerals that are tried in other notations
_LIST = re.compile(r"[0-9]+(?:,\s?[0-9]+){2,}")
_WITH_EXPONENT = re.compile(r"[0-9]{2,}[eE][0-9]{1,3}")  # programs write one digit before an exponent without sign
_PADDED = re.compile(r"[+-]?0[0-9]+")
_MAJORITY = 2 / 3  # of the cells, read in the notation of most, make numbers where the others are numbers in another
_LONG_CODE = 9  # digits; grouped numbers of one length, all so long, are codes, such as of telephones


def most(count: int, total: int) -> bool:
    """Whether some cells are most: nine in ten; or all but one, if they are three or more.

    >>> most(19, 20), most(8, 10), most(3, 4), most(1, 2)
    (True, False, True, False)
    """
    return count > 0 and (count >= MOST * total or (count >= _FEWEST and count + 1 >= total))


@dataclass(frozen=True)
class Numerals:
    """What the cells of a column are, as numbers.

    Attributes:
        notation: in which most of them can be read.
        cells: that hold something; those that say that a value is missing do not count.
        numbers: of these, how many can be read.
        example: one of them that programs would write otherwise; None where there is none.
        other: a notation in which the same cells are other numbers.
        against: how many cells are numbers in the other notation only, too few to decide for all.
        whole: whether whole numbers beside such as `7.430` tell that points stand between thousands, as in `other`.
        units: of the numbers that differ in unit, how many have which.
        codes: whether their digits are those of codes, with zeros in front or groups of one length.
        otherwise: how many of the others are numbers with other decimal marks, such as `12,5` among `12.5`.
    """

    notation: Notation
    cells: int
    numbers: int
    example: str | None = None
    other: Notation | None = None
    against: int = 0
    whole: bool = False
    units: Counter[str] | None = None
    codes: bool = False
    otherwise: int = 0

    @property
    def mostly(self) -> bool:
        """Whether the column is one of numbers."""
        other_marks = self.numbers >= _MAJORITY * self.cells and most(self.numbers + self.otherwise, self.cells)
        return (most(self.numbers, self.cells) or other_marks) and not self.codes

    @property
    def converted(self) -> Counter[str]:
        """How many cells have which unit, of those that are told in another than their own."""
        told_in = self.notation.unit
        if self.units is None or told_in is None or told_in in SYSTEMS:
            return Counter()
        others = {unit: count for unit, count in self.units.items() if unit != told_in}
        return Counter({unit: count for unit, count in others.items() if factor_of(unit, told_in) is not None})


def are_measures(units: Mapping[str, int]) -> bool:
    """Whether most of several units are known ones, of measure or money; other words behind numbers make no units.

    >>> are_measures({"kg": 20, "cm": 20, "": 3}), are_measures({"main st": 20, "oak ave": 20}), are_measures({"g": 9})
    (True, False, False)
    """
    total = sum(count for unit, count in units.items() if unit)
    known = {unit: count for unit, count in units.items() if unit and all(map(is_known, unit.split()))}
    sure = sum(count for unit, count in known.items() if not is_letter(unit))
    return sure > (1 - MOST) * total and most(sum(known.values()), total)


def numerals_of(cells: Sequence[object]) -> Numerals:
    """Looks at cells that are not missing: how many are numbers, and in which notation."""
    if {*map(type, cells)} == {float}:  # by far the most frequent
        return Numerals(PLAIN, len(cells), int(np.isfinite(np.array(cells, dtype=np.float64)).sum()))
    typed, others, fractions = 0, 0, 0
    texts: Counter[str] = Counter()
    for cell in cells:
        if type(cell) is float and math.isfinite(cell):
            typed += 1
            fractions += not cell.is_integer()
        elif isinstance(cell, str):
            texts[cell] += 1
        elif _is_number(cell):
            typed += 1
        else:
            others += 1
    plain = Counter({text: count for text, count in texts.items() if is_plain(text)})
    rest = Counter({text: count for text, count in texts.items() if text not in plain and not means_missing(text)})
    total = typed + others + plain.total() + rest.total()
    written = {text: found for text in rest if (found := take_apart(text)) is not None}
    padded = sum(count for text, count in plain.items() if _PADDED.fullmatch(text.strip()))
    lengths = {len(text.strip()) for text in plain}
    as_codes = padded > (1 - MOST) * max(plain.total(), 1) or (padded > 0 and len(lengths) == 1 and len(plain) > 1)
    if not typed and any(map(_WITH_EXPONENT.fullmatch, plain)):  # 573E6 beside 1234, but no 1.5E3
        as_codes |= all(re.fullmatch(r"[0-9]+([eE][0-9]+)?", text.strip()) for text in plain)
    bodies = [
        *(text.strip().lstrip("+-") for text in plain),
        *(body for one in written.values() for body, _ in one.parts),
    ]
    whole = not typed and _are_whole(bodies)
    if not written:
        return Numerals(PLAIN, total, typed + plain.total(), None, _grouped(PLAIN, whole), whole=whole, codes=as_codes)
    odd = _Written(written, rest, plain, typed, fractions)
    notation, other, against = odd.notation()
    numbers = odd.count(notation)
    if not odd.needed(notation):
        numbers, otherwise = typed + plain.total(), odd.otherwise(PLAIN)
        other = other or _grouped(PLAIN, whole)
        return Numerals(
            PLAIN, total, numbers, None, other, against, whole, codes=as_codes, units=odd.units(), otherwise=otherwise
        )
    otherwise = odd.otherwise(notation)
    if (doubtful := odd.doubtful(notation)) is not None:
        notation = replace(notation, doubtful=notation.decimal)
        numbers -= doubtful
    example = next((text for text, one in written.items() if value_of(one, notation) is not None), None)
    codes = as_codes or odd.are_codes()
    whole = whole and (notation.decimal, notation.thousands) == ("point", "none")
    other = other or _grouped(notation, whole)
    return Numerals(notation, total, numbers, example, other, against, whole, odd.units(), codes, otherwise)


def _is_number(cell: object) -> bool:
    """Whether a cell that is no text is a finite number, or a duration."""
    if isinstance(cell, bool | np.bool_) or not isinstance(cell, Real | Decimal | timedelta | np.generic):
        return False
    return not isinstance(cell, float | np.floating) or math.isfinite(cell)


def _are_whole(bodies: Sequence[str]) -> bool:
    """Whether numerals may as well be whole ones with points between thousands: `558`, `7.430`, `2.081`.

    No program writes all fractions with three digits, zeros at their end among them, but whole numbers without any.
    """
    marked = [body for body in bodies if "." in body]
    return (
        _FEWEST <= len(marked) < len(bodies)
        and all(is_lone_group(body, "point") if "." in body else len(body) <= 3 for body in bodies)
        and any(body.endswith("0") for body in marked)
    )


def _grouped(notation: Notation, whole: bool) -> Notation | None:
    """The notation with points between thousands, where that may be meant."""
    return replace(notation, decimal="comma", thousands="point") if whole else None


@dataclass(frozen=True)
class _Written:
    """Numerals that programs would write otherwise, how often each occurs, and those that they would write so.

    Of typed numbers the count, and how many of them have a fraction.
    """

    written: dict[str, WrittenNumber]
    counts: Counter[str]
    plain: Counter[str]
    typed: int
    fractions: int

    def notation(self) -> tuple[Notation, Notation | None, int]:
        """The notation that reads most, one that reads as many as other numbers, and how many cells it alone reads.

        Where one or two cells decide it, or few against others, and most are other numbers in an earlier candidate,
        that one is the notation.
        """
        unit = self._unit()
        parentheses = sum(self.counts[text] for text, one in self.written.items() if one.in_parentheses)
        known = self.counts.total() + self.plain.total()
        candidates = [
            replace(one, unit=unit, parentheses=0 < parentheses < MOST * known)
            for one in _CANDIDATES
            if one.decimal == "point" or not any(map(_LIST.fullmatch, self.counts))
        ]
        counts = [self.count(one) for one in candidates]
        best = candidates[counts.index(max(counts))]
        earlier = sorted(zip(candidates, counts, strict=True), key=lambda pair: -pair[1])
        for one in (one for one, _ in earlier if candidates.index(one) < candidates.index(best)):
            tellers, alone, differ = self._compared(best, one)
            against = sum(tellers)
            several = len(tellers) >= _FEWEST and not alone  # texts tell the one notation, and none the other
            if differ and not several and most(alone + differ, against + alone + differ):
                return one, best, against
        equal = [one for one, count in zip(candidates, counts, strict=True) if count == max(counts)]
        return best, next((one for one in equal if self._differ(best, one)), None), 0

    def _compared(self, best: Notation, one: Notation) -> tuple[list[int], int, int]:
        """How often each text occurs that the first notation alone can read; how many cells only the second, and how
        many both, as other values.
        """
        tellers: list[int] = []
        alone = differ = 0
        for text, count in [
            *((text, self.counts[text]) for text in self.written),
            *self.plain.most_common(_MOST_PLAIN),
        ]:
            written = self.written.get(text) or take_apart(text)
            if written is None:
                continue
            first, second = value_of(written, best), value_of(written, one)
            if first is None and second is not None:
                alone += count
            elif second is None and first is not None:
                tellers.append(count)
            elif first != second:
                differ += count
        return tellers, alone, differ

    def count(self, notation: Notation) -> int:
        """How many cells it reads."""
        found = sum(self.counts[text] for text, one in self.written.items() if value_of(one, notation) is not None)
        bare = notation.unit is None or factor_of("", notation.unit) is not None
        if not bare:
            return found + sum(count for text, count in self.plain.items() if not float(text))
        if notation.decimal == "point":  # reads what programs write
            return found + self.typed + self.plain.total()
        tried = dict(self.plain.most_common(_MOST_PLAIN))
        share = sum(n for text, n in tried.items() if body_value(text.strip().lstrip("+-"), "comma", notation.thousands)
                    is not None) / max(1, sum(tried.values()))  # fmt: skip
        return found + self.typed - self.fractions + round(share * self.plain.total())

    def needed(self, notation: Notation) -> bool:
        """Whether it reads more than that of programs does: one odd cell among plain numbers makes no notation."""
        return self.count(notation) > self.typed + self.plain.total()

    def otherwise(self, notation: Notation) -> int:
        """How many cells it does not read, though they are numbers with other marks, where most have a decimal mark.

        Without one in the others `1,2` may be a list, and `1.2` a chapter.
        """
        point = "." if notation.decimal == "point" else ","
        texts = [*self.plain.items(), *((text, self.counts[text]) for text in self.written)]
        marked = sum(count for text, count in texts if point in text) + (self.fractions if point == "." else 0)
        if 2 * marked < sum(count for _, count in texts) + self.typed or any(map(_LIST.fullmatch, self.counts)):
            return 0
        others = [replace(one, unit=notation.unit) for one in _CANDIDATES if one.decimal != notation.decimal]
        unread = [text for text, one in self.written.items() if value_of(one, notation) is None]
        found = sum(self.counts[text] for text in unread if self._reads(text, others))
        if notation.decimal == "comma":
            found += sum(
                count for text, count in self.plain.items() if "." in text and not self._reads(text, [notation])
            )
        return found

    def doubtful(self, notation: Notation) -> int | None:
        """How many cells such as `5.000` may be thousands of another notation; None where such are ordinary here.

        They are where there is no mark between thousands, many of them, or another number with so many decimals.
        """
        if notation.thousands == "none":
            return None
        bodies = [(body, self.counts[text]) for text, one in self.written.items() for body, _ in one.parts
                  if value_of(one, notation) is not None]  # fmt: skip
        bodies += [(text.strip().lstrip("+-"), count) for text, count in self.plain.items()]
        lone = sum(count for body, count in bodies if is_lone_group(body, notation.decimal))
        long = re.compile(r".*\.[0-9]{3,}" if notation.decimal == "point" else ".*,[0-9]{3,}")
        precise = any(long.fullmatch(body) and not is_lone_group(body, notation.decimal) for body, _ in bodies)
        return None if precise or lone > (1 - MOST) * sum(count for _, count in bodies) else lone

    def _reads(self, text: str, notations: Iterable[Notation]) -> bool:
        one = self.written.get(text) or take_apart(text)
        return one is not None and any(value_of(one, notation) is not None for notation in notations)

    def units(self) -> Counter[str] | None:
        """How many cells have which units, where there are several."""
        found: Counter[str] = Counter()
        for text, one in self.written.items():
            found[" ".join(sorted(one.units))] += self.counts[text]
        return found if len(found) > 1 else None

    def are_codes(self) -> bool:
        """Whether all are grouped digits of one length, as numbers of telephones are."""
        digits = [re.sub(r"[^0-9]", "", body) for one in self.written.values() for body, _ in one.parts]
        whole = all(not unit for one in self.written.values() for _, unit in one.parts)
        return whole and not self.plain and len(set(map(len, digits))) == 1 and len(digits[0]) >= _LONG_CODE

    def _unit(self) -> str | None:
        """What most cells can be told in: none, one unit, or a system of several."""
        single = {unit for one in self.written.values() for unit in one.units if unit}
        options: list[str | None] = [None, *sorted(single), *SYSTEMS]
        fits = {option: (self._fits(option), self._fits(option, as_it_is=True)) for option in options}
        return max(options, key=lambda option: fits[option])

    def _fits(self, unit: str | None, *, as_it_is: bool = False) -> int:
        """How many cells can be told in a unit or a system of several; or have that very unit, or those."""
        bare = unit is None or factor_of("", unit) is not None
        found = sum(
            self.counts[text]
            for text, one in self.written.items()
            if all(
                factor_of(each, unit or "") is not None and (not as_it_is or unit in SYSTEMS or each == (unit or ""))
                for each in one.units
            )
        )
        return found + (self.plain.total() + self.typed if bare else 0)

    def _differ(self, one: Notation, other: Notation) -> bool:
        pairs = [(value_of(each, one), value_of(each, other)) for each in self.written.values()]
        return any(first != second for first, second in pairs if first is not None and second is not None)
