"""Names of months, weekdays and time zones in dates: English, German, French, Spanish, Italian, Portuguese, Dutch."""

from __future__ import annotations

import unicodedata
from functools import cache

_MONTHS = (
    "january januar janner janvier enero gennaio janeiro januari",
    "february februar feber fevrier febrero febbraio fevereiro februari",
    "march marz maerz mars marzo marco maart mrz mrt",
    "april avril abril aprile",
    "may mai mayo maggio maio mei",
    "june juni juin junio giugno junho",
    "july juli juillet julio luglio julho",
    "august aout agosto augustus",
    "september septembre septiembre setiembre settembre setembro",
    "october oktober octobre octubre ottobre outubro",
    "november novembre noviembre novembro",
    "december dezember decembre diciembre dicembre dezembro",
)
_SHORTEST = 3  # letters of an abbreviation

WEEKDAYS = (
    "(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?"
    "|mo|di|mi|do|fr|sa|so|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch|sonnabend"
    "|lun|mar|mer|jeu|ven|sam|dim|(?:lun|mar|mercre|jeu|vendre|same)di|dimanche"
    "|mie|jue|vie|sab|dom|lunes|martes|miercoles|jueves|viernes|sabado|domingo"
    "|gio|(?:lune|marte|mercole|giove|vener)di|sabato|domenica"
    "|(?:segunda|terca|quarta|quinta|sexta)(?:-feira)?"
    "|ma|wo|vr|za|zo|(?:maan|dins|woens|donder|vrij|zater|zon)dag"
)
"""Weekdays without accents and their usual abbreviations, as alternatives of a regular expression."""

ZONES = {
    "z": 0, "utc": 0, "gmt": 0, "wet": 0, "west": 1, "cet": 1, "mez": 1, "cest": 2, "mesz": 2, "eet": 2, "eest": 3,
    "msk": 3, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}  # fmt: skip
"""Hours east of UTC: the zones of Europe, and those of North America as RFC 5322, section 4.3, has them."""


def without_accents(text: str) -> str:
    """Text without accents on its letters.

    >>> without_accents("1er février")
    '1er fevrier'
    """
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))


@cache
def month_of(name: str) -> int | None:
    """The number of a month that is written in words, without accents; three letters and more may stand for it.

    None of other words, and of `jui`, which may be juin or juillet.

    >>> month_of("Okt"), month_of("enero"), month_of("jui")
    (10, 1, None)
    """
    lower = name.lower()
    if len(lower) < _SHORTEST:
        return None
    names = [months.split() for months in _MONTHS]
    exact = [number for number, of_month in enumerate(names, 1) if lower in of_month]
    if exact:
        return exact[0]
    found = {number for number, of_month in enumerate(names, 1) if any(month.startswith(lower) for month in of_month)}
    return found.pop() if len(found) == 1 else None
