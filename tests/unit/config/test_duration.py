"""How people write the time that a run may take."""

from __future__ import annotations

import pytest

from polymodal.config.duration import in_words, rounded_up, seconds_of
from polymodal.config.run_config import RunConfig, make, override
from polymodal.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("90s", 90), ("10m", 600), ("10 min", 600), ("1h30m", 5400), ("1h 30s", 3630), ("1.5h", 5400), ("45", 45)],
)
def test_a_budget_may_be_written_in_words(words, seconds):
    assert seconds_of(words) == seconds
    assert make({"budget": words}).budget == words  # it is written back as it was


def test_a_budget_may_be_a_number_of_seconds():
    assert seconds_of(make({"budget": 90}).budget) == 90
    assert seconds_of(override(RunConfig(), ["budget=1h30m"]).budget) == 5400
    assert make({}).budget is None


@pytest.mark.parametrize("wrong", ["10 parsecs", "", "m", "30m1h", "1h30", 0, "0", -5, "-5s", float("inf"), [60]])
def test_what_is_no_time_is_refused_by_the_name_of_the_setting(wrong):
    with pytest.raises(ConfigError, match=r"configuration: budget"):
        make({"budget": wrong})


def test_the_message_says_what_to_write_instead():
    with pytest.raises(ConfigError, match=r"'10 parsecs' is no time; write seconds, .* such as 90s, 10m, 1h30m"):
        make({"budget": "10 parsecs"})


@pytest.mark.parametrize(("seconds", "words"), [(59.9, "1 min"), (3600.0, "1 h"), (605.0, "10 min"), (0.04, "0 s")])
def test_words_for_seconds(seconds, words):
    assert in_words(seconds) == words


@pytest.mark.parametrize("seconds", [0.1, 7.0, 31.0, 89.0, 91.0, 2999.0, 5401.0, 40000.0, 9e6])
def test_rounding_up_never_shortens(seconds):
    assert seconds <= rounded_up(seconds) < 2 * seconds + 1
