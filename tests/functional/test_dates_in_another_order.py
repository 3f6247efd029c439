"""Dates with the month first, the day first, or both in one column: read in the order that they show, else named."""

from datetime import date, timedelta

import pytest

from polymodal.bundles.bundle import load, save
from polymodal.config.run_config import make
from polymodal.inference.predictor import predict
from polymodal.modalities.datetime import Datetime, DatetimeConfig
from polymodal.pipeline.inspection import inspect
from polymodal.pipeline.run import train

DAYS = [date(2020, 1, 1) + timedelta(7 * k + k % 3) for k in range(60)]
EARLY = [day.replace(day=1 + day.day % 12) for day in DAYS]  # each of them may have day and month the other way round
DOTTED_US = [(day if k < 12 else early).strftime("%m.%d.%Y")
             for k, (day, early) in enumerate(zip(DAYS, EARLY, strict=True))]  # fmt: skip
OTHER = [k * 0.37 for k in range(60)]


def inspected(cells, **settings):
    columns = {"when": {"modality": {"name": "datetime", **settings}}} if settings else {}
    found = inspect({"when": cells, "other": OTHER[: len(cells)]}, config=make({"columns": columns}))
    return found.columns[0].column, [one for one in found.findings if one.columns == ("when",)]


def checks(findings):
    return {one.check for one in findings} & {"unreadable", "date_order"}


def read(cell, **settings):
    days, _ = Datetime(DatetimeConfig(**settings)).read(cell).tolist()
    return date(1970, 1, 1) + timedelta(days=days)


@pytest.mark.parametrize("sign", "./-")
def test_the_setting_holds_for_every_sign_between_the_numbers(sign):
    cell = sign.join(["05", "10", "2020"])
    assert read(cell, order="month_first") == date(2020, 5, 10)
    assert read(cell, order="day_first") == date(2020, 10, 5)


def test_dates_with_dots_are_read_in_the_order_that_the_column_shows():
    column, findings = inspected(DOTTED_US)
    assert column.kind == "datetime"
    assert "month first" in column.reason
    assert not checks(findings)
    assert Datetime.suggest(DOTTED_US, make({}).limits) == {"order": "month_first"}


def test_dates_with_dots_that_show_no_order_have_the_day_first():
    column, findings = inspected([day.strftime("%d.%m.%Y") for day in EARLY])
    assert column.kind == "datetime"
    assert "set order" not in column.reason
    assert not checks(findings)
    assert read("05.10.2020") == date(2020, 10, 5)


def test_version_numbers_are_no_dates_with_the_month_first():
    assert inspected([f"{1 + k % 3}.{13 + k % 9}.{k % 4 + 10}" for k in range(60)])[0].kind != "datetime"


@pytest.mark.parametrize("sign", "./")
def test_few_dates_in_the_other_order_are_named_with_what_they_put_in_doubt(sign):
    cells = [day.strftime(f"%m{sign}%d{sign}%Y" if k % 20 == 0 else f"%d{sign}%m{sign}%Y")
             for k, day in enumerate(DAYS)]  # fmt: skip
    cells[0] = f"05{sign}17{sign}2020"
    _, findings = inspected(cells)
    (found,) = [one for one in findings if one.check == "date_order"]
    assert found.severity == "warning"
    assert 0 in found.rows
    assert "month first" in found.what


@pytest.mark.parametrize("sign", "./")
def test_a_setting_that_the_cells_deny_is_named_with_the_one_that_they_show(sign):
    _, findings = inspected([cell.replace(".", sign) for cell in DOTTED_US], order="day_first")
    (found,) = [one for one in findings if one.check == "date_order"]
    assert "columns.when.modality.order=month_first" in found.advice


def learned(cells, folder):
    columns = {"when": cells, "other": OTHER, "y": ["ab"[k % 2] for k in range(60)]}
    made = train(columns, make({"target": "y", "train": {"epochs": 1}, "inputs": {"keep": "all"}}), baselines=False)
    save(made.bundle, folder / "bundle")
    return load(folder / "bundle"), made


def test_the_order_of_dates_with_dots_is_said_and_kept_by_the_model(tmp_path):
    bundle, made = learned(DOTTED_US, tmp_path)
    assert any("when" in note and "month first" in note for note in made.notes)
    found = predict(bundle, {"when": ["05.13.2020", "05.10.2020"], "other": [1.0, 2.0]})
    assert set(found.status) == {"ok"}
    assert not found.warnings


def test_a_table_in_the_other_order_is_a_warning_of_the_prediction(tmp_path):
    bundle, made = learned([day.strftime("%d/%m/%Y") for day in DAYS], tmp_path)
    assert not any("first" in note for note in made.notes)
    table = {"when": ["03/04/2019", "05/13/2019", "06/25/2019", "07/08/2019"], "other": [1.0, 2.0, 3.0, 4.0]}
    (_, said) = predict(bundle, table).warnings
    assert said.startswith("when:")
    assert "month first" in said
    assert "'03/04/2019'" in said
    healthy = {"when": ["03/04/2019", "13/05/2019", None, "31/02/2019"], "other": [1.0, 2.0, 3.0, 4.0]}
    assert not any("misread" in one for one in predict(bundle, healthy).warnings)
