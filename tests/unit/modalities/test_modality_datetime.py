from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from polymodal.config.run_config import LimitsConfig
from polymodal.data.audit.inspection import inspect_table
from polymodal.errors import UnreadableCellError
from polymodal.modalities.datetime import UNKNOWN, Datetime, DatetimeConfig
from polymodal.protocols import Sample


def sample(values):
    return Sample(values, [None] * len(values), len(set(map(str, values))), len(values))


def read(cell, **settings):
    """The moment as Python knows it, in UTC."""
    days, micros = Datetime(DatetimeConfig(**settings)).read(cell).tolist()
    if days == UNKNOWN:
        return (datetime(1970, 1, 1) + timedelta(microseconds=micros)).time()
    day = date(1970, 1, 1) + timedelta(days=days)
    return day if micros == UNKNOWN else datetime(day.year, day.month, day.day) + timedelta(microseconds=micros)


def fitted(cells, **settings):
    config = DatetimeConfig(**settings)
    return Datetime(config, Datetime(config).fit([Datetime(config).read(cell) for cell in cells]))


FIRST = date(2024, 3, 1)
NOON = datetime(2024, 3, 1, 12, 30)


@pytest.mark.parametrize(
    ("cell", "moment"),
    [
        ("2024-03-01", FIRST), ("2024-3-1", FIRST), ("2024/03/01", FIRST), ("2024.03.01", FIRST), ("20240301", FIRST),
        ("2024-03", FIRST), (" 2024-03-01 ", FIRST), ("1.3.2024", FIRST), ("01.03.2024", FIRST),
        ("1 March 2024", FIRST), ("1st mar 2024", FIRST), ("01-Mar-2024", FIRST), ("March 1, 2024", FIRST),
        ("Mar. 1st, 2024", FIRST),
        ("Friday, March 1, 2024", FIRST), ("29 Feb 2024", date(2024, 2, 29)), ("9 Sept 2024", date(2024, 9, 9)),
        ("25/12/2024", date(2024, 12, 25)), ("12/25/2024", date(2024, 12, 25)), ("25-12-2024", date(2024, 12, 25)),
        ("03/03/2024", date(2024, 3, 3)),
        ("2024-03-01T12:30", NOON), ("2024-03-01 12:30:00", NOON), ("2024-03-01T12:30:00Z", NOON),
        ("20240301T123000Z", NOON), ("2024-03-01T14:30+02:00", NOON), ("2024-03-01 07:30:00 -0500", NOON),
        ("2024-03-01 12:30 UTC", NOON), ("1.3.2024 12:30", NOON), ("Mar 1, 2024 12:30 pm", NOON),
        ("Fri, 01 Mar 2024 12:30:00 GMT", NOON), ("Fri Mar  1 12:30:00 2024", NOON), ("1 Mar 2024, 12:30 p.m.", NOON),
        ("2024-02-29T23:30-01:00", datetime(2024, 3, 1, 0, 30)),
        ("2024-03-01T00:10+05:30", datetime(2024, 2, 29, 18, 40)),
        ("2024-03-01T12:30:15.25", datetime(2024, 3, 1, 12, 30, 15, 250_000)),
        ("2024-03-01T12:30:15,123456789", datetime(2024, 3, 1, 12, 30, 15, 123_456)),
        ("12:30", time(12, 30)), ("12:30:15", time(12, 30, 15)), ("1:05 am", time(1, 5)), ("12 am", time(0)),
        ("23:30+01:00", time(22, 30)),
        ("1. März 2024", FIRST), ("01. Mrz. 2024", FIRST), ("Freitag, 1. März 2024", FIRST), ("1er mars 2024", FIRST),
        ("ven. 1 mars 2024", FIRST), ("1 de marzo de 2024", FIRST), ("1 de março de 2024 12:30", NOON),
        ("5 août 2024", date(2024, 8, 5)), ("5 Dez 2024", date(2024, 12, 5)), ("5 enero 2024", date(2024, 1, 5)),
        ("March 2024", FIRST), ("mars-2024", FIRST), ("2024-W09", date(2024, 2, 26)), ("2024-W09-5", FIRST),
        ("2024W095", FIRST), ("2024-Q1", date(2024, 1, 1)), ("Q3 2024", date(2024, 7, 1)), ("2024Q2", date(2024, 4, 1)),
        ("2024-03-01T13:30 CET", NOON), ("2024-03-01 14:30:00 MESZ", NOON), ("2024-03-01 07:30 EST", NOON),
        ("2024-03-01T13:30+01:00[Europe/Berlin]", NOON), ("2024-03-01 14:30 GMT+2", NOON),
        ("Fri Mar  1 12:30:00 UTC 2024", NOON),
        (FIRST, FIRST), (NOON, NOON), (time(12, 30), time(12, 30)), (NOON.replace(tzinfo=UTC), NOON),
        (datetime(2024, 3, 1, 14, 30, tzinfo=timezone(timedelta(hours=2))), NOON), (pd.Timestamp(NOON), NOON),
        (pd.Timestamp("2024-03-01 13:30", tz="Europe/Berlin"), NOON),
    ],
)  # fmt: skip
def test_what_is_read(cell, moment):
    assert read(cell) == moment


@pytest.mark.parametrize(
    "cell",
    ["", "now", "2024", "24-03-01", "03/01/24", "2024-02-30", "2023-02-29", "31.4.2024", "2024-13-01",
     "0000-01-01", "24:00", "12:60", "13:00 pm", "2:1", "12", "1e9", "2024-03-01T12:30 IST", "2024-03-01T12:30+25:00",
     "1 Marsh 2024", "1 jui 2024", "2024-W54", "2024-W09-8", "2024-Q5", "2024-001", "2024-03-01 12:30 Europe/Berlin",
     "2024-03/01", "32/12/2024", "x" * 10_000, "٢٠٢٤-٠٣-٠١", 5, 5.0, True, None, b"2024-03-01", [2024]],
)  # fmt: skip
def test_the_rest_becomes_reject(cell):
    with pytest.raises(UnreadableCellError) as caught:
        Datetime(DatetimeConfig()).read(cell)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("cell", "moment", "settings"),
    [
        ("25/12/98", date(1998, 12, 25), {}), ("12/25/98", date(1998, 12, 25), {}),
        ("98/12/25", date(1998, 12, 25), {}),
        ("1 Mar 24", FIRST, {}), ("1.3.24", FIRST, {}), ("1-Mar-24", FIRST, {}), ("Mar 1, 24", FIRST, {}),
        ("03/01/24", FIRST, {"order": "month_first"}), ("01/03/24", FIRST, {"order": "day_first"}),
        ("24-03-01", FIRST, {"order": "year_first"}), ("25/12/45", date(1945, 12, 25), {"pivot": 30}),
        ("25/12/45", date(2045, 12, 25), {}),
    ],
)  # fmt: skip
def test_years_of_two_digits(cell, moment, settings):
    assert read(cell, **settings) == moment
    assert "two digits" in Datetime(DatetimeConfig(**settings)).note(cell)


def test_most_cells_tell_the_order():
    cells = ["25/12/98", "13/01/99"] * 20 + ["12/25/98"]
    assert Datetime.suggest(cells, LimitsConfig()) == {"order": "day_first"}
    found = Datetime.recognise(sample(["01/05/98", "25/12/97", "03/04/96"] * 5))
    assert found is not None and found.confidence > 0.9


def test_python_agrees_with_us_on_any_iso_string():
    rng = np.random.default_rng(0)
    for micros in rng.integers(-(10**16), 10**16, 200).tolist():
        moment = datetime(1970, 1, 1) + timedelta(microseconds=micros)
        assert read(moment.isoformat()) == moment
        zone = timezone(timedelta(minutes=int(rng.integers(-840, 840))))
        aware = moment.replace(tzinfo=zone)
        assert read(aware.isoformat()) == aware.astimezone(UTC).replace(tzinfo=None)
        assert read(moment.strftime("%d %B %Y %I:%M:%S.%f %p")) == moment
        assert read(moment.strftime("%c")) == moment.replace(microsecond=0)


def test_day_or_month_first_is_decided_by_the_column():
    assert Datetime.suggest(["03/04/2024", "25/12/2024"], LimitsConfig()) == {"order": "day_first"}
    assert Datetime.suggest(["03/04/2024", "12-25-2024"], LimitsConfig()) == {"order": "month_first"}
    for undecided in (["03/04/2024"], ["25/12/2024", "12/25/2024"], []):
        assert Datetime.suggest(undecided, LimitsConfig()) == {}
    assert read("03/04/2024", order="day_first") == date(2024, 4, 3)
    assert read("03/04/2024", order="month_first") == date(2024, 3, 4)
    assert read("3.4.2024", order="month_first") == date(2024, 3, 4)
    with pytest.raises(UnreadableCellError, match="set order to day_first or month_first"):
        read("03/04/2024")
    with pytest.raises(UnreadableCellError, match="no such day"):
        read("25/12/2024", order="month_first")


def test_unix_times_only_where_said():
    assert read(1_709_296_200, unix="seconds") == NOON
    assert read("1709296200.5", unix="seconds") == NOON + timedelta(seconds=0.5)
    assert read(Decimal(1_709_296_200_000), unix="milliseconds") == NOON
    assert read("2024-03-01", unix="seconds") == FIRST
    assert read(-1, unix="seconds") == datetime(1969, 12, 31, 23, 59, 59)
    for cell in (1_709_296_200_000, math.inf, math.nan, 1e300, 10**5_000):
        with pytest.raises(UnreadableCellError):
            read(cell, unix="seconds")
    with pytest.raises(UnreadableCellError, match="set unix"):
        read(1_709_296_200)


def test_features_by_the_formula():
    rng = np.random.default_rng(1)
    start = datetime(2020, 1, 1)
    train = [start + timedelta(seconds=int(s)) for s in rng.integers(0, 4 * 365 * 86_400, 50)]
    other = datetime(2024, 3, 1, 18)
    column = fitted(train)
    assert column.cycles == ("hour", "weekday", "year")
    assert column.num_features == 7
    seconds = np.array([(moment - start).total_seconds() for moment in train])
    position = ((other - start).total_seconds() - seconds.mean()) / seconds.std()
    angles = 2 * np.pi * np.array([18 / 24, 4 / 7, 60 / 366])  # a Friday; 31 days of January, 29 of February
    expected = [position, *np.stack([np.sin(angles), np.cos(angles)], axis=1).ravel()]
    cells = column.collate([column.read(other), None])
    np.testing.assert_allclose(cells.values[0], expected, rtol=1e-5, atol=1e-6)
    assert cells.values[1].tolist() == [0] * 7
    assert cells.lengths.tolist() == [1, 0]
    features = column.handcrafted_features([column.read(other), None])
    np.testing.assert_allclose(features[0], expected, rtol=1e-9)
    assert np.isnan(features[1]).all()


def test_only_cycles_that_vary_enter():
    assert fitted(["2024-01-01", "2024-01-02"]).cycles == ("weekday", "year")
    assert fitted(["2024-01-01", "2024-01-08"]).cycles == ("year",)
    assert fitted(["2024-01-01 10:00", "2024-01-01 11:00"]).cycles == ("hour",)
    assert fitted(["2024-01-01 10:00", "2024-01-02 11:00"], cycles=("hour",)).cycles == ("hour",)
    assert fitted([]).num_features == 1


def test_times_of_day_alone():
    column = fitted(["06:00", "18:00"])
    assert column.cycles == ("hour",)
    np.testing.assert_allclose(column.collate([column.read("18:00")]).values, [[1, -1, 0]], atol=1e-6)


def test_what_a_cell_does_not_say_is_zero():
    column = fitted(["2024-01-01 10:00", "2024-01-02 11:00", "2024-01-03"])
    assert column.collate([column.read("2024-01-02")]).values[0, 1:3].tolist() == [0, 0]
    assert column.collate([column.read("10:00")]).values[0, 0] == 0


@pytest.mark.parametrize("cells", [[], ["2024-01-01"], ["0001-01-01", "9999-12-31"], ["12:00", "12:00"],
                                   ["2024-01-01T00:00:00.000001", "2024-01-01"]])  # fmt: skip
def test_any_training_column_gives_finite_values(cells):
    column = fitted(cells)
    far = [column.read(cell) for cell in ("0001-01-01", "9999-12-31T23:59:59-15:00", "12:00")]
    values = column.collate([*far, None]).values
    assert values.isfinite().all()
    assert values.abs().max() <= 1e6


def test_moves_to_utc_are_told():
    column = Datetime(DatetimeConfig())
    assert column.note("2024-03-01T12:00+02:00") == "moved from +02:00 to UTC"
    assert column.note("2024-03-01T12:00-03:30") == "moved from -03:30 to UTC"
    assert column.note("2024-03-01T12:00Z") is None
    assert column.note("2024-03-01") is None


def test_preview_and_measures():
    column = Datetime(DatetimeConfig())
    assert ">2024-03-01 12:30:00<" in column.preview("1 Mar 2024 12:30")
    assert column.measures(column.read("12:00")) == {"hour": 12}
    assert column.measures(column.read("2024-07-02"))["year"] == pytest.approx(2024.5, abs=0.01)


@pytest.mark.parametrize(
    "values",
    [[f"2024-01-0{d}" for d in range(1, 9)] * 9, ["3 May 2021"] * 30, [date(2020, 1, 1), datetime(2020, 1, 2)],
     ["25/12/2024", "03/04/2024"], ["03/04/2024", "05/06/2024"], ["12:30", "13:45"]],
)  # fmt: skip
def test_recognises_dates_before_text_and_category_do(values):
    found = Datetime.recognise(sample(values))
    assert found is not None
    assert found.confidence > 0.95


@pytest.mark.parametrize("form", ["%G-W%V", "%G-W%V-%u", "%d. Mai %Y", "%d de mayo de %Y", "%Y-%m-%d 10:30 CET"])
def test_dates_in_words_and_weeks_are_no_identifiers(form):
    cells = [(date(2020, 1, 1) + timedelta(days=7 * week)).strftime(form) for week in range(50)]
    found = inspect_table({"a": cells, "b": [row * 0.37 for row in range(50)]})
    assert found.columns[0].column.kind == "datetime"
    assert not [one for one in found.findings if one.check == "unreadable"]


def test_dates_among_others_are_no_identifiers_and_the_others_named():
    days = [date(2020, 1, 1) + timedelta(days=9 * row) for row in range(60)]
    cells = [f"{day:%Y.%j}x" if row % 3 == 0 else day.isoformat() for row, day in enumerate(days)]
    found = inspect_table({"a": cells, "b": [row * 0.37 for row in range(60)]})
    assert found.columns[0].column.kind == "datetime"
    assert [(one.columns, one.count) for one in found.findings if one.check == "unreadable"] == [(("a",), 20)]


def test_unknown_zones_are_said_to_be_such():
    with pytest.raises(UnreadableCellError, match="zone IST"):
        read("2024-03-01T12:30 IST")
    for form, count in (("2024-01-%02d 12:30 Asia/Kolkata", 1), ("%d 10 notes", 0), ("on %d at 12:30 Uhr", 0)):
        cells = [form % (1 + row % 28) for row in range(40)]
        found = inspect_table({"a": cells, "b": [row * 0.37 for row in range(40)]}).findings
        assert len([one for one in found if one.check == "date_order"]) == count


def test_recognition_says_what_it_decided():
    assert "the day first" in Datetime.recognise(sample(["25/12/2024", "03/04/2024"])).reason
    assert "set order" in Datetime.recognise(sample(["05/06/2024", "03/04/2024"])).reason
    assert Datetime.recognise(sample(["2024-01-01"] * 6 + ["n/a"] * 4)).confidence < 0.9


@pytest.mark.parametrize(
    "values",
    [["20240301", "20240302"], ["1234-05", "2719-03"], ["1:2", "16:9"], ["a", "b"], [1, 2], [1.7e9], ["2024"], [],
     ["on 2024-03-01 we met"], ["192.168.1.1"], [b"2024-03-01"], ["2024-01-01", "x", "y"]],
)  # fmt: skip
def test_does_not_recognise(values):
    assert Datetime.recognise(sample(values)) is None


def test_dates_that_all_differ_are_no_identifiers():
    days = [date(2020, 1, 1) + timedelta(days=7 * week) for week in range(60)]
    table = {"text": [day.isoformat() for day in days], "object": days, "stamp": pd.to_datetime(pd.Series(days)),
             "key": [f"A-{week}" for week in range(60)]}  # fmt: skip
    kinds = [found.column.kind for found in inspect_table(table).columns]
    assert kinds == ["datetime", "datetime", "datetime", "identifier"]
