"""Numbers of the report: one rule for all of them."""

from __future__ import annotations

import math

import pytest

from polymodal.report.formatting import number, tick


@pytest.mark.parametrize(
    ("value", "like", "text"),
    [
        (1180.4, (), "1,180"),
        (-3280.0, (), "-3,280"),
        (-3280.4, [9612.5], "-3,280"),
        (2_464_716, (), "2,464,716"),
        (118_864.6, [0.5], "118,865"),
        (1.0, [0.5], "1.000"),
        (7.0, (), "7"),
        (54.321, (), "54.32"),
        (-0.0, (), "0"),
        (-0.0, [1.0], "0.000"),
        (-3.7e-5, [0.071], "0.000"),  # the end of an interval of R2
        (0.00042, (), "0.00042"),
        (3.28e-7, (), "3.28 × 10⁻⁷"),
        (0.1e-7, [3.28e-7], "0.10 × 10⁻⁷"),
        (2e16, (), "2.00 × 10¹⁶"),
        (math.nan, (), "–"),
        (math.inf, (), "∞"),
    ],
)
def test_a_number_is_written_by_one_rule(value, like, text):
    assert number(value, like=like) == text


def test_a_difference_has_its_sign_and_none_has_no_sign():
    assert [number(value, like=[1.0], signed=True) for value in (0.025, -0.075, -0.0001, 0.0)] == [
        "+0.025", "-0.075", "0.000", "0.000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("places", "texts"),
    [
        ([0.0, 0.25, 0.5], ["0.00", "0.25", "0.50"]),
        ([-300_000.0, 0.0], ["-300,000", "0"]),
        ([0.0, 2e-6, 4e-6], ["0", "2 × 10⁻⁶", "4 × 10⁻⁶"]),
        ([0.0, 5e9], ["0", "5 × 10⁹"]),
    ],
)
def test_the_ticks_of_an_axis_are_rounded_alike(places, texts):
    assert [tick(value, places) for value in places] == texts
