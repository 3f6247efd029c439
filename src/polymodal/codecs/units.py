"""Units that people write beside numbers: one spelling for each, and those that are counted in one another."""

from __future__ import annotations

import re

CURRENCY_CODES = (
    "USD|EUR|GBP|JPY|CHF|CAD|AUD|NZD|CNY|INR|BRL|MXN|SEK|NOK|DKK|PLN|CZK|HUF|RUB|TRY|ZAR|KRW|SGD|HKD|THB|IDR|MYR|PHP|"
    "ILS|AED|SAR|RON|UAH|VND|EGP|NGN|KES|PKR|BDT|LKR|ARS|CLP|COP|PEN"
)
"""Of ISO 4217, as alternatives of a regular expression."""

_SPELLINGS = {
    "lb": ("lbs", "pound", "pounds"),
    "oz": ("ounce", "ounces"),
    "ft": ("foot", "feet", "'", "′", "’"),
    "in": ("inch", "inches", '"', "″", "''", "”", "’’"),
    "h": ("hr", "hrs", "hour", "hours"),
    "min": ("mins", "minute", "minutes"),
    "s": ("sec", "secs", "second", "seconds"),
    "year": ("years", "yr", "yrs"),
    "month": ("months", "mo", "mos", "mth", "mths"),
    "week": ("weeks", "wk", "wks"),
    "day": ("days",),
    "kg": ("kgs", "kilo", "kilos", "kilogram", "kilograms"),
    "g": ("gr", "gram", "grams"),
    "km": ("kms", "kilometre", "kilometres", "kilometer", "kilometers"),
    "m": ("metre", "metres", "meter", "meters"),
    "l": ("litre", "litres", "liter", "liters", "ltr"),
    "%": ("percent", "pct", "per cent"),
    "$": ("usd", "us$"),
    "€": ("eur", "euro", "euros"),
    "£": ("gbp",),
    "¥": ("jpy",),
    "₹": ("inr", "rs", "rs."),
    "mn": ("mio", "million", "millions"),
    "k": ("thousand",),
}
_SPELLING_OF = {spelling: unit for unit, spellings in _SPELLINGS.items() for spelling in spellings}

# Units of which a column may hold several; a number is told in the first one.
_SYSTEMS: dict[str, dict[str, float]] = {
    "lb oz": {"lb": 1.0, "oz": 1 / 16},
    "ft in": {"ft": 1.0, "in": 1 / 12},
    "h min s": {"h": 1.0, "min": 1 / 60, "m": 1 / 60, "s": 1 / 3600},
    "year month week day": {"year": 1.0, "y": 1.0, "month": 1 / 12, "week": 7 / 365.25, "day": 1 / 365.25},
    "kg g": {"kg": 1.0, "g": 1e-3, "mg": 1e-6},
    "m cm mm km": {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "km": 1e3},
    "l ml": {"l": 1.0, "cl": 1e-2, "ml": 1e-3},
    "K M B": {"": 1.0, "k": 1e3, "m": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9},
}
SYSTEMS = tuple(_SYSTEMS)


def unit_of(written: str) -> str:
    """The one spelling of a unit: `lbs.`, `Pounds` and `lb` are `lb`.

    >>> unit_of("Lbs."), unit_of('"'), unit_of("km/h")
    ('lb', 'in', 'km/h')
    """
    plain = re.sub(r"\s+", " ", written.strip().rstrip(".").replace(". ", " ")).casefold()
    if (known := _SPELLING_OF.get(plain)) is not None:
        return known
    plural = len(plain) > 3 and plain.endswith("s") and not plain.endswith("ss")
    return plain[:-1] if plural else plain


def factor_of(unit: str, told_in: str) -> float | None:
    """What a number of one unit is multiplied by where a column is told in another, or in a system of several.

    None where they do not go together.
    """
    if unit == told_in:
        return 1.0
    return _SYSTEMS.get(told_in, {}).get(unit)
