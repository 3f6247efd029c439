"""Units that people write beside numbers: one spelling for each, and those that are counted in one another."""

from __future__ import annotations

import re
from functools import lru_cache

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
    "K M B": {"": 1.0, "k": 1e3, "m": 1e6, "M": 1e6, "mn": 1e6, "b": 1e9, "B": 1e9, "bn": 1e9},
}
SYSTEMS = tuple(_SYSTEMS)

# Units of one dimension that are told in one another wherever they stand. Left out is what may mean several: `m` of
# minutes and millions, `ton`, `gal`, bytes (1000 or 1024), and `Mg` of tonnes, which is mostly a misspelt `mg`.
_DIMENSIONS: tuple[dict[str, float], ...] = (
    {"kg": 1.0, "g": 1e-3, "mg": 1e-6, "μg": 1e-9, "t": 1e3, "lb": 0.45359237, "oz": 0.45359237 / 16},
    {"m": 1.0, "km": 1e3, "cm": 1e-2, "mm": 1e-3, "μm": 1e-6, "in": 0.0254, "ft": 0.3048, "yd": 0.9144,
     "mile": 1609.344},
    {"l": 1.0, "dl": 1e-1, "cl": 1e-2, "ml": 1e-3, "μl": 1e-6},
    {"h": 1.0, "min": 1 / 60, "s": 1 / 3600, "ms": 1 / 3.6e6, "day": 24.0, "week": 168.0, "month": 730.5,
     "year": 8766.0},
    {"km/h": 1.0, "m/s": 3.6, "mph": 1.609344},
    {"hz": 1.0, "mHz": 1e-3, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
    {"W": 1.0, "mW": 1e-3, "kW": 1e3, "MW": 1e6, "GW": 1e9},
    {"Wh": 1.0, "mWh": 1e-3, "kWh": 1e3, "MWh": 1e6, "GWh": 1e9},
    {"V": 1.0, "mV": 1e-3, "kV": 1e3, "MV": 1e6},
    {"Pa": 1.0, "mPa": 1e-3, "hPa": 1e2, "kPa": 1e3, "MPa": 1e6, "GPa": 1e9},
    {"J": 1.0, "mJ": 1e-3, "kJ": 1e3, "MJ": 1e6, "GJ": 1e9},
    {"cal": 1.0, "kcal": 1e3},
    {"k": 1.0, "mn": 1e3, "bn": 1e6},
    {"%": 1.0, "‰": 0.1},
)  # fmt: skip

# Spellings that differ in case only from those of another unit, so that none of them can stand for all.
_CASED = re.compile(
    r"[mp](?:[glsmwvajnfhcb]|wh|pa|ev|bit|bps|byte|cal|mol|eq)|[kgt]?(?:b|bit|bps)|cal|g|m|t|mhz", re.IGNORECASE
)
_ALIKE = {"KB": "kB", "gb": "GB", "tb": "TB", "Mhz": "mhz", "MHz": "mhz", "MHZ": "mhz", "CAL": "cal"}
_CAPITALS = {
    unit.casefold(): unit
    for factors in _DIMENSIONS
    for unit in factors
    if unit != unit.casefold() and not _CASED.fullmatch(unit)
}
_KNOWN = {*_SPELLINGS, "°", "°c", "°f", *(code.casefold() for code in CURRENCY_CODES.split("|")), *"€£¥₹₽₩₪₺฿₴₦₱¢"}
_KNOWN.update(unit for units in (*_SYSTEMS.values(), *_DIMENSIONS) for unit in units)
_KNOWN.update(["Mg", "Cal", *(prefix + unit for prefix in "kMGT" for unit in "bB")])
_LETTERS = re.compile(r"[^\W\d_]")


@lru_cache(4096)
def unit_of(written: str) -> str:
    """The one spelling of a unit: `lbs.`, `Pounds` and `lb` are `lb`, but `MW` and `mW` are two.

    >>> unit_of("Lbs."), unit_of('"'), unit_of("km/h"), unit_of("KG"), unit_of("MW"), unit_of("mW")
    ('lb', 'in', 'km/h', 'kg', 'MW', 'mW')
    """
    plain = re.sub(r"\s+", " ", written.strip().rstrip(".").replace(". ", " "))
    if (known := _SPELLING_OF.get(plain.casefold())) is not None:
        return known
    unit = "".join(map(_of_word, re.split("([/ ])", plain)))
    plural = len(unit) > 3 and unit.endswith("s") and unit[-2] not in "s/ "
    return unit[:-1] if plural else unit


def is_known(unit: str) -> bool:
    """Whether a unit, in its one spelling, is one of measure or money."""
    return unit in _KNOWN


def is_letter(unit: str) -> bool:
    """Whether a unit is a single letter, which may as well be a name, as of a seat `12A`."""
    return _LETTERS.fullmatch(unit) is not None


def _of_word(word: str) -> str:
    """A unit without blanks, its case taken off where that tells nothing."""
    if _CASED.fullmatch(word):
        return _ALIKE.get(word, word)
    return _CAPITALS.get(word.casefold(), word.casefold())


@lru_cache(4096)
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
    told_in = unit_of(told_in)  # as a user or an earlier version wrote it
    if unit == told_in:
        return 1.0
    same = next((factors for factors in _DIMENSIONS if unit in factors and told_in in factors), None)
    return None if same is None else same[unit] / same[told_in]
