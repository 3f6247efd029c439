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
    "t": ("tonne", "tonnes"),
    "km": ("kms", "kilometre", "kilometres", "kilometer", "kilometers"),
    "mile": ("mi",),
    "yd": ("yds", "yard", "yards"),
    "km/h": ("kmh", "kph"),
    "mph": ("mi/h",),
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

# Units of one dimension that are told in one another wherever they stand. Left out is what may mean several: `m` of
# minutes and millions, `ton`, `gal`, bytes, and whatever upper case would tell apart.
_DIMENSIONS: tuple[dict[str, float], ...] = (
    {"kg": 1.0, "g": 1e-3, "mg": 1e-6, "μg": 1e-9, "t": 1e3, "lb": 0.45359237, "oz": 0.45359237 / 16},
    {"m": 1.0, "km": 1e3, "cm": 1e-2, "mm": 1e-3, "μm": 1e-6, "in": 0.0254, "ft": 0.3048, "yd": 0.9144,
     "mile": 1609.344},
    {"l": 1.0, "dl": 1e-1, "cl": 1e-2, "ml": 1e-3, "μl": 1e-6},
    {"h": 1.0, "min": 1 / 60, "s": 1 / 3600, "ms": 1 / 3.6e6, "day": 24.0, "week": 168.0, "month": 730.5,
     "year": 8766.0},
    {"km/h": 1.0, "m/s": 3.6, "mph": 1.609344},
    {"hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
    {"k": 1.0, "mn": 1e3, "bn": 1e6},
    {"%": 1.0, "‰": 0.1},
)  # fmt: skip


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

    >>> factor_of("g", "kg"), factor_of("h", "kg")
    (0.001, None)
    """
    if unit == told_in:
        return 1.0
    if told_in in _SYSTEMS:
        return _SYSTEMS[told_in].get(unit)
    same = next((factors for factors in _DIMENSIONS if unit in factors and told_in in factors), None)
    return None if same is None else same[unit] / same[told_in]
