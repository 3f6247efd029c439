"""Reads numbers as people write them: 1,234.5 or 1.234,5, 45 %, $3.50, (12.00), 7.5-, 1½, 3.5 kg, 1 lb. 5 oz."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, TypeAlias

from polymodal.codecs.units import CURRENCY_CODES, factor_of, unit_of
from polymodal.errors import MissingCellError, UnreadableCellError

Decimal: TypeAlias = Literal["point", "comma"]
Thousands: TypeAlias = Literal["none", "comma", "point", "blank", "apostrophe"]
Doubtful: TypeAlias = Literal["none", "point", "comma"]

NULL_WORDS = ("NaN", "nan", "NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "<NA>", "(null)", "\\N")
"""Beside numbers, these say that there is no value."""

MARKS = frozenset(
    ["?", "??", "-", "--", "---", "–", "—", ".", "..", "*", "n.d.", "n.d", "n/d", "n.a.", "n.a", "na", "n/a", "n/k",
     "nan", "nil", "null", "none", "missing", "unknown", "tbd", "not available", "not known", "no data"]
)  # fmt: skip
"""Beside numbers, these mostly say it too, but not for certain: they are rejects, and no evidence against numbers."""

READ_WITH = "read as numbers with"
"""How a note begins on a cell that programs would write otherwise."""

_BOOLEAN = frozenset(["true", "false", "True", "False", "TRUE", "FALSE"])
_TOTALS = frozenset(
    ["total", "totals", "grand total", "subtotal", "sub-total", "sum", "average", "mean", "gesamt", "summe", "somme",
     "mittelwert", "moyenne", "suma", "totale", "totaal"]
)  # fmt: skip
_LONGEST = 64  # characters
BLANK = "[ \u00a0\u2007\u2009\u202f]"  # those that stand between thousands
_PLAIN = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MARK = {"none": "", "comma": ",", "point": r"\.", "blank": BLANK, "apostrophe": "['’]"}
_SIGN = "[-+\u2212]"
_PREFIX = rf"(?:[$€£¥₹₽₩₪₺฿₴₦₱¢]|[A-Z]{{1,2}}\$|(?:{CURRENCY_CODES})(?![A-Za-z])|Rs\.?|kr\.?|Kč|zł)"
_DIGITS = r"[0-9]+(?:[.,][0-9]+|['’ \u00a0\u2007\u2009\u202f][0-9]{3}(?![0-9]))*(?:[.,](?!\w))?"
_VULGAR = "[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞]"
_FRACTION = rf"(?:[0-9]+{BLANK}?)?{_VULGAR}|[0-9]+{BLANK}[0-9]{{1,2}}/[0-9]{{1,2}}(?![0-9/])"
_BODY = rf"(?:{_FRACTION}|(?:{_DIGITS}|[.,][0-9]+)(?:[eE][+-]?[0-9]+(?![0-9A-Za-z]))?)"
_WORD = r"[^\W\d_]+\.?"
_UNIT = (
    rf"(?:%|‰|″|′|”|’’|’|''|'|\"|°{BLANK}?[CFK]?|[$€£¥₹₽₩₪₺฿₴₦₱¢](?:/{_WORD})?|/{BLANK}?{_WORD}"
    rf"|{_WORD}(?:(?:/|{BLANK}){_WORD}){{0,2}}(?:[²³]|[23](?![0-9]))?|µ[^\W\d_]+)"
)
_AMOUNTS = rf"{_BODY}(?:{BLANK}*{_UNIT}(?:,?{BLANK}*{_BODY}{BLANK}*{_UNIT})*)?"
_CELL = re.compile(
    rf"(?P<open>\()?(?P<sign>{_SIGN}?){BLANK}*(?P<prefix>{_PREFIX}?){BLANK}*(?P<inner>{_SIGN}?)"
    rf"(?P<amounts>{_AMOUNTS})(?P<close>\))?(?P<after>(?<=[0-9])[-\u2212])?"
)
_PARTS = re.compile(rf"(?P<body>{_BODY}){BLANK}*(?P<unit>{_UNIT})?")
_POWER = re.compile(
    rf"(?<=[0-9]){BLANK}*[x×*·⋅]{BLANK}*10(?:(?:\^|\*\*){BLANK}*(?P<plain>{_SIGN}?[0-9]{{1,3}})(?![0-9.,])"
    r"|(?P<raised>[⁺⁻]?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,3}))"
)
_WHOLE_MONEY = re.compile(rf"(?<=[0-9])(?:(?P<comma>,)[-–—]{{1,2}}|/-)(?=$|{BLANK}|[€$£₹])")  # `12,- €`, `1,234/-`
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_MARKS_OF_SCRIPTS = str.maketrans("\u066b\u066c\u066a．，％－＋", ".,%.,%-+")  # of Arabic, and full-width
_ASCII_DIGITS = dict.fromkeys(map(ord, "0123456789"))
_GRADE = re.compile(r"[0-9]{1,2}")  # `1-` may be a school grade, `90-` a range


@dataclass(frozen=True)
class Notation:
    """How the numbers of a column are written.

    Attributes:
        decimal: the decimal mark.
        thousands: the mark between groups of digits; that of the decimals counts as none.
        unit: that stands at every number, such as `%`, `$` or `kg`; `lb oz` and the like: several, told in the first.
        parentheses: `(5)` is -5, as accountants write it.
        doubtful: the decimal mark that three digits may not follow where it could stand between thousands: with `point`
            `5.000` among `1,234` is neither 5 nor 5000.
    """

    decimal: Decimal = "point"
    thousands: Thousands = "none"
    unit: str | None = None
    parentheses: bool = False
    doubtful: Doubtful = "none"

    @property
    def plain(self) -> bool:
        """Whether it is that of programs."""
        return self == PLAIN


PLAIN = Notation()


@dataclass(frozen=True)
class WrittenNumber:
    """A number, taken apart.

    Attributes:
        parts: digits with their marks, and the unit behind each; a currency in front counts as one behind.
        style: what else programs write otherwise, in words; empty where there is nothing.
    """

    negative: bool
    in_parentheses: bool
    parts: tuple[tuple[str, str], ...]
    style: str = ""

    @property
    def units(self) -> frozenset[str]:
        """The units of all parts."""
        return frozenset(unit for _, unit in self.parts)


def is_plain(text: str) -> bool:
    """Whether a text is a number as programs write it."""
    return bool(_PLAIN.fullmatch(text.strip()))


def is_boolean(text: str) -> bool:
    """Whether a text is a truth value as programs write it."""
    return text.strip() in _BOOLEAN


def means_missing(text: str) -> bool:
    """Whether a text says, beside numbers, that there is no value: `NA`, `-`, `?` and the like."""
    stripped = text.strip()
    return not stripped or stripped in NULL_WORDS or stripped.casefold() in MARKS


def is_total(text: str) -> bool:
    """Whether a text names a sum or a mean of other rows: `Total`, `Sum:`, `Average`."""
    return text.strip().rstrip(":").casefold() in _TOTALS


def take_apart(text: str) -> WrittenNumber | None:
    """Digits, sign and units of a text; None where it is no number in any notation."""
    stripped = text.strip()
    if len(stripped) > _LONGEST or _HEX.fullmatch(stripped):
        return None
    ascii_text = stripped if stripped.isascii() else _in_ascii(stripped)
    plain = _WHOLE_MONEY.sub(lambda end: ",00" if end["comma"] else "", ascii_text)
    found = _CELL.fullmatch(_POWER.sub(_exponent, plain))
    if found is None or (found["open"] is None) != (found["close"] is None) or (found["sign"] and found["inner"]):
        return None
    before = found["sign"] + found["inner"]
    if found["after"] and (before or found["open"] or _GRADE.fullmatch(found["amounts"])):
        return None
    parts = [(part["body"], part["unit"] or "") for part in _PARTS.finditer(found["amounts"])]
    if found["prefix"]:
        if len(parts) > 1:
            return None
        ((body, behind),) = parts
        between = "" if behind.startswith("/") else " "
        parts = [(body, f"{found['prefix']}{between}{behind}".strip())]
    styles = {
        "the minus behind": bool(found["after"]),
        "digits of another script": any(map(str.isdecimal, stripped.translate(_ASCII_DIGITS))),
        "powers of ten": _POWER.search(stripped) is not None,
        "fractions": any(_is_fraction(body) for body, _ in parts),
    }
    return WrittenNumber(
        negative=bool(found["after"]) or before not in ("", "+"),
        in_parentheses=found["open"] is not None,
        parts=tuple((body, unit_of(unit)) for body, unit in parts),
        style=" and ".join(style for style, there in styles.items() if there),
    )


def read_numeral(text: str, notation: Notation = PLAIN) -> float:
    """The number that a text is.

    Raises:
        MissingCellError: it says that there is none.
        UnreadableCellError: with the reason.

    >>> read_numeral("1.234,5 kg", Notation("comma", "point", "kg"))
    1234.5
    """
    stripped = text.strip()
    if notation == PLAIN and _PLAIN.fullmatch(stripped):
        return float(stripped)
    if not stripped or stripped in NULL_WORDS:
        raise MissingCellError(f"of {short(stripped)}, not a number: read as missing")
    written = take_apart(stripped)
    value = None if written is None else value_of(written, notation)
    if value is None:
        raise UnreadableCellError(f"not a number{_expected(written, notation)}: {short(text)}")
    if written is not None and any(is_doubtful(body, notation) for body, _ in written.parts):
        raise UnreadableCellError(
            f"the mark before three digits may stand between thousands: {short(text)} may be {value:g} or "
            f"{1000 * value:g}; set doubtful to none to read {value:g}"
        )
    return value


def value_of(written: WrittenNumber, notation: Notation) -> float | None:
    """The number in a notation; None where it is not written in it."""
    if written.in_parentheses and (not notation.parentheses or written.negative):
        return None
    total, before = 0.0, float("inf")
    for body, unit in written.parts:
        number = body_value(body, notation.decimal, notation.thousands)
        factor = factor_of(unit, notation.unit or "")
        if factor is None and number == 0 and not unit:  # nothing is nothing in every unit
            factor = 1.0
        if number is None or factor is None or factor >= before:
            return None
        total, before = total + number * factor, factor
    return -total if written.negative or written.in_parentheses else total


def is_doubtful(body: str, notation: Notation) -> bool:
    """Whether the decimal mark of some digits may stand between thousands, and the notation refuses such.

    >>> is_doubtful("5.000", Notation("point", "comma", doubtful="point"))
    True
    """
    return notation.decimal == notation.doubtful and is_lone_group(body, notation.decimal)


def is_lone_group(body: str, decimal: Decimal) -> bool:
    """Whether digits with a decimal mark may also be thousands: `5.000`, but neither `0.125` nor `1234.500`."""
    return re.fullmatch(rf"[1-9][0-9]{{0,2}}{_MARK[decimal]}[0-9]{{3}}", body) is not None


def body_value(body: str, decimal: Decimal, thousands: Thousands) -> float | None:
    """The number that digits and marks are; None where they do not stand as the notation says."""
    if _is_fraction(body):
        return _fraction(body)
    if not _body(decimal, thousands).fullmatch(body):
        return None
    if thousands not in ("none", decimal):
        body = re.sub(_MARK[thousands], "", body)
    return float(body.replace(",", ".") if decimal == "comma" else body)


def _exponent(power: re.Match[str]) -> str:
    """What programs write for `x 10^3` and `×10³`."""
    exponent = (power["plain"] or power["raised"].translate(_RAISED)).replace("\u2212", "-")
    return f"e{exponent}"


def _in_ascii(text: str) -> str:
    """Digits of any script, and the marks and signs that stand between them there, as those of ASCII."""
    if not any(char.isdecimal() and not char.isascii() for char in text):
        return text
    digits = (char if (digit := unicodedata.decimal(char, None)) is None else str(digit) for char in text)
    return "".join(digits).translate(_MARKS_OF_SCRIPTS)


def _is_fraction(body: str) -> bool:
    return "/" in body or re.search(_VULGAR, body) is not None


def _fraction(body: str) -> float | None:
    """The value of `1½` or `1 1/2`; None of what is no proper fraction, such as `1 3/2`."""
    if "/" not in body:
        return float(body[:-1].strip() or 0) + unicodedata.numeric(body[-1])
    whole, above, below = map(int, re.split("[^0-9]", body))
    return whole + above / below if 0 < above < below else None


@cache
def _body(decimal: Decimal, thousands: Thousands) -> re.Pattern[str]:
    point = _MARK[decimal]
    whole = "[0-9]+"
    if thousands not in ("none", decimal):
        mark = _MARK[thousands]  # 1,234,567, and 12,34,567 as in India
        whole = rf"(?:[1-9][0-9]{{0,2}}(?:{mark}[0-9]{{3}})+|[1-9][0-9]?(?:{mark}[0-9]{{2}})+{mark}[0-9]{{3}}|[0-9]+)"
    return re.compile(rf"(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?")


def described(notation: Notation, example: str | None = None) -> str:
    """A notation in words, for the reason of a column and for notes.

    >>> described(Notation("comma", "point"), "1.234,5")
    "decimal comma, points between thousands ('1.234,5' is 1234.5)"
    """
    words = {"comma": "commas", "point": "points", "blank": "blanks", "apostrophe": "apostrophes"}
    parts = []
    if notation.decimal == "comma":
        parts.append("decimal comma")
    if notation.thousands != "none":
        parts.append(f"{words[notation.thousands]} between thousands")
    if notation.unit is not None:
        first, _, others = notation.unit.partition(" ")
        parts.append(f"the units {notation.unit}, told in {first}" if others else f"the unit {notation.unit}")
    if notation.parentheses:
        parts.append("parentheses for minus")
    written = take_apart(example or "")
    value = None if written is None else value_of(written, notation)
    return ", ".join(parts) + ("" if value is None else f" ({short(example or '')} is {value:.10g})")


def note_of(text: str, notation: Notation) -> str | None:
    """That a text, which can be read, is not written as programs write numbers, and how; None where it is.

    >>> note_of("500 g", Notation(unit="kg")), note_of("7.5-", PLAIN)
    ('converted from g to kg', 'read as numbers with the minus behind')
    """
    if is_plain(text) or (written := take_apart(text)) is None:
        return None
    unit = notation.unit or ""
    unit = unit if " " in unit else unit_of(unit)
    converted = sorted(each for each in written.units if each != unit and " " not in unit)
    if converted and any(factor_of(each, unit) for each in converted):
        return f"converted from {' and '.join(converted)} to {unit}"
    how = ", ".join(filter(None, [described(notation), written.style]))
    return f"{READ_WITH} {how}" if how else None


def short(cell: str) -> str:
    """A cell as a message shows it."""
    text = repr(cell)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _expected(written: WrittenNumber | None, notation: Notation) -> str:
    """What is not as in the other cells, where it is known."""
    if written is None:
        return ""
    if notation.unit is not None and value_of(written, replace(notation, unit=None)) is not None:
        return f" with the unit of this column ({notation.unit})"
    if len(written.units) == 1 and (unit := next(iter(written.units))) != (notation.unit or ""):
        return f": its unit is {unit}, that of this column is {notation.unit or 'none'}" if unit else ""
    return " as this column writes them"
