"""The layout of the report: what comes first, how it is titled, what fits a phone, and how numbers are written."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from polymodal.config.run_config import make
from polymodal.pipeline.run import Run, train
from polymodal.report.page import write

ROWS = 60
SMALL = {
    "encoders": {"table": {"width": 4}, "text": {"name": "bag", "width": 4}},
    "fusion": {"name": "concat", "width": 4},
    "train": {"epochs": 1},
    "inputs": {"keep": "all"},
}
_VOID = {"meta", "img", "br", "input", "source", "col", "hr", "link"}


class Page(HTMLParser):
    """The texts of a page with the elements that they stand in, and every start of an element likewise."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, list[str]]] = []
        self.starts: list[tuple[str, dict[str, str | None], list[str]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.starts.append((tag, dict(attrs), self.inside()))
        if tag not in _VOID:
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        while self.open and self.open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if data.strip():
            self.texts.append((data.strip(), self.inside()))

    def inside(self) -> list[str]:
        return [word for tag, attrs in self.open for word in (tag, *(attrs.get("class") or "").split())]

    def text(self, element: str) -> str:
        return " ".join(text for text, inside in self.texts if element in inside)


Read = Callable[[Run], Page]


@pytest.fixture(scope="module")
def read(tmp_path_factory) -> Read:
    def written(run: Run) -> Page:
        path: Path = tmp_path_factory.mktemp("report") / "report.html"
        write(run, path)
        return Page(path.read_text(encoding="utf-8"))

    return written


TEXTS = ("photo caption", "an input whose_name_is_long_and_has_hardly_a_place_to_break_it", "الاسم")


def table(num_classes: int = 12) -> dict[str, list]:
    rng = np.random.default_rng(0)
    return {
        TEXTS[0]: [f"word{k % 5} of the caption {k}" for k in range(ROWS)],
        TEXTS[1]: [f"x{k % 7}" for k in range(ROWS)],
        TEXTS[2]: [f"كلمة {k % 3}" for k in range(ROWS)],
        "role": [f"a class with a long name that ends in {k % num_classes}" for k in range(ROWS)],
        "price": (rng.normal(size=ROWS) * 200_000).round(2).tolist(),
        "tiny": (rng.normal(size=ROWS) * 3e-7).tolist(),
    }


@pytest.fixture(scope="module")
def classes() -> Run:
    columns = {name: {"modality": "text"} for name in TEXTS}
    return train(table(), make(SMALL | {"target": "role", "drop": ["price", "tiny"], "columns": columns}))


@pytest.fixture(scope="module")
def numbers() -> Run:
    return train(table(), make(SMALL | {"target": ["price", "tiny"], "drop": ["role"]}))


@pytest.fixture(scope="module")
def of_classes(classes: Run, read: Read) -> Page:
    return read(classes)


@pytest.fixture(scope="module")
def of_numbers(numbers: Run, read: Read) -> Page:
    return read(numbers)


def test_the_title_names_the_target_and_the_kind_of_task(of_classes, of_numbers):
    assert of_classes.text("title").startswith("Report: role (classification)")
    assert of_classes.text("h1") == "Report: role (classification)"
    assert of_numbers.text("h1") == "Report: price, tiny (regression)"


def test_warnings_come_before_everything_else(classes, read):
    notes = ("photo alone predicts role in 99.4 %", *(f"{k} cells were cut" for k in range(2, 12)))
    page = read(replace(classes, notes=notes))
    places = [page.html.index(note) for note in notes]
    assert places == sorted(places)
    assert page.html.index("<h1>") < places[0]
    assert places[-1] < min(page.html.index('class="verdict"'), page.html.index("<section"))
    assert 'href="#warnings"' in page.html


def test_cells_that_could_not_be_read_are_counted_at_the_top(read):
    cells = table() | {"size": ["many" if k in (4, 9) else k for k in range(ROWS)]}
    config = SMALL | {"target": "role", "drop": ["price", "tiny"], "columns": {"size": {"modality": "number"}}}
    page = read(train(cells, make(config)))
    assert "2 cells could not be read: size 2." in page.text("aside")
    assert page.html.index("2 cells could not be read: size") < page.html.index('class="verdict"')
    assert 'href="#rejects"' in page.html and "not a number: 'many'" in page.text("section")


def test_without_warnings_there_is_no_box(classes, read):
    page = read(replace(classes, notes=(), rejects=()))
    assert 'id="warnings"' not in page.html and 'href="#warnings"' not in page.html


@pytest.mark.parametrize("page", ["of_classes", "of_numbers"])
def test_nothing_is_wider_than_a_phone(page, request):
    page = request.getfixturevalue(page)
    assert any(attrs.get("content") == "width=device-width, initial-scale=1" for _, attrs, _ in page.starts)
    for tag, attrs, inside in page.starts:
        if tag == "table":
            assert "scroll" in inside or "confusion" in inside
        if tag == "svg":  # it takes the width of its figure
            assert "figure" in inside and "width" not in attrs and attrs["viewbox"]
    style = page.text("style")
    assert not re.search(r"min-width: (2[5-9]|[3-9]\d)(\.\d+)?rem\s*[;}]", style)  # of an element: 390 px are 24 rem


def test_the_confusion_matrix_has_every_class_in_full(of_classes):
    matrix = [(text, inside) for text, inside in of_classes.texts if "confusion" in inside]
    names = [text for text, inside in matrix if "bdi" in inside and "tbody" in inside]
    assert sorted(names) == sorted(set(table()["role"]))
    heads = [text for text, inside in matrix if "bdi" in inside and "thead" in inside]
    assert heads == [str(k) for k in range(1, 13)]
    counts = [int(text) for text, inside in matrix if "td" in inside]
    measured = next(text for text, inside in of_classes.texts if text.endswith("measured on"))
    assert sum(counts) == int(measured.split()[0])


def test_names_of_inputs_and_subsets_are_complete(of_classes):
    charts = [text for text, inside in of_classes.texts if "intervals" in inside and "name" in inside]
    for name in TEXTS:
        assert f"linear, {name} alone" in charts
        assert f"without {name}" in charts and f"only {name}" in charts
    assert "all inputs" in charts
    assert not [text for text, inside in of_classes.texts if " + " in text and "td" in inside]


@pytest.mark.parametrize("page", ["of_classes", "of_numbers"])
def test_no_number_is_in_the_notation_of_programs(page, request):
    texts = [
        (text, inside) for text, inside in request.getfixturevalue(page).texts if not {"pre", "style"} & set(inside)
    ]
    assert not [text for text, _ in texts if re.search(r"\de[+-]?\d", text)]
    assert not [text for text, _ in texts if re.search(r"(?<![\d.])[-−]0(\.0+)?(?![.\d])", text)]
    figures = [text for text, inside in texts if "number" in inside or "svg" in inside]
    assert not [text for text in figures if re.search(r"(?<![.\d])\d{4,}", text)]


def test_axes_have_the_thousands_of_the_tables(of_numbers):
    ticks = [text for text, inside in of_numbers.texts if "svg" in inside]
    assert [text for text in ticks if re.fullmatch(r"-?\d{3},000", text)]
    assert [text for text in ticks if "× 10⁻" in text]


def test_a_metric_and_its_interval_are_rounded_alike(of_numbers):
    cells = [text for text, inside in of_numbers.texts if "td" in inside and "number" in inside and " to " in text]
    assert len(cells) > 10
    for low, high in (cell.split(" to ") for cell in cells):
        assert len(low.partition(".")[2]) == len(high.partition(".")[2])


def test_macro_f1_says_which_classes_no_test_row_has(read):
    sides = ["train" if k < 45 else "test" for k in range(ROWS)]
    roles = ["rare" if k % 9 == 0 and k < 45 else "ab"[k % 2] for k in range(ROWS)]
    cells = table() | {"role": roles, "side": sides}
    config = SMALL | {"target": "role", "drop": ["price", "tiny"], "split": {"column": "side"}}
    page = read(train(cells, make(config)))
    (told,) = [text for text, inside in page.texts if "untested" in inside and "td" in inside]
    assert "No test row" in told and "rare" in told


def test_every_macro_metric_is_silent_where_every_class_has_rows(classes, read):
    sides = ["train" if k < 48 else "test" for k in range(ROWS)]
    config = SMALL | {"target": "role", "drop": ["price", "tiny"], "split": {"column": "side"}}
    page = read(train(table() | {"side": sides}, make(config)))
    assert not [text for text, inside in page.texts if "untested" in inside]


def test_charts_have_no_colour_of_their_own(of_classes):
    drawn = re.findall(r"<(?:svg|figure).*?</(?:svg|figure)>", of_classes.html, re.DOTALL)
    assert drawn and not [found for chart in drawn for found in re.findall(r"#[0-9a-f]{6}\b|rgb\(", chart)]
    light, dark = re.findall(r":root \{(.*?)\}", of_classes.text("style"), re.DOTALL)
    names = [set(re.findall(r"(--[a-z]+):", block)) for block in (light, dark)]
    assert names[0] == names[1]  # every colour of the page has one by night
