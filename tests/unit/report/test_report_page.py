"""The report: complete, self-contained, and nothing in the data can write into it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from polymodal.config.run_config import make
from polymodal.errors import MissingExtraError, UsageError
from polymodal.metrics.results import InputTest
from polymodal.pipeline.run import train
from polymodal.report.drawing import Pen
from polymodal.report.page import write
from polymodal.report.subject import Previewer

ROWS = 60
EVIL = "</script><b onclick=alert(1)>$x$</b>"
SMALL = {
    "encoders": {"table": {"width": 4}, "text": {"name": "bag", "width": 4}},
    "fusion": {"name": "concat", "width": 4},
    "train": {"epochs": 2},
}


class Page(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data):
        self.text += data


def table() -> dict[str, list]:
    rng = np.random.default_rng(0)
    cells = {
        EVIL: rng.normal(size=ROWS).tolist(),
        "note": [f"{EVIL} {k}" for k in range(ROWS)],
        "colour": [EVIL if k % 3 else "red" for k in range(ROWS)],
        "label": [EVIL if k % 2 else "plain" for k in range(ROWS)],
        "price": (rng.normal(size=ROWS) * 50).tolist(),
    }
    cells[EVIL][3] = None
    return cells


@pytest.fixture(scope="module")
def run():
    return train(table(), make(SMALL | {"target": "label", "drop": ["price"]}))


@pytest.fixture(scope="module")
def html(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write(run, path)
    assert path.stat().st_size < 3_000_000
    return path.read_text(encoding="utf-8")


def test_metrics_are_explained_in_the_words_of_the_task(html, run):
    words = run.bundle.task.metric_words
    assert all(text in html for text in words.values())
    better = run.bundle.task.greater_is_better
    assert html.count("; lower is better") == sum(not better[name] for name in words)


def test_it_has_every_section(html):
    for name in ("results", "classes", "subsets", "mistakes", "training", "data", "examples", "model", "usage"):
        assert f'<section id="{name}">' in html and f'href="#{name}"' in html


def test_it_tells_which_inputs_predict_the_target(html, run, tmp_path):
    tested = {
        "text": InputTest(p_value=1e-9, p_together=None, useful=True),
        "table": InputTest(p_value=0.4, p_together=0.5, useful=False),
        "gone": InputTest(p_value=0.6, p_together=0.25, useful=False),
    }
    tested = {run.bundle.schema.inputs[place].name if place < 2 else name: tested[name]
              for place, name in enumerate(tested)}  # fmt: skip
    metrics = run.bundle.metrics.model_copy(update={"input_tests": tested})
    write(replace(run, bundle=replace(run.bundle, metrics=metrics)), tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Which inputs predict label" in page.text
    section = page.text[page.text.index("Permutation tests") :]
    words = section[: section.index("Missing inputs")].split("\n")
    cells = [word for word in words if word]
    first, second = (one.name for one in run.bundle.schema.inputs)
    assert cells[cells.index(first) :][:4] == [first, "in the model", "< 0.001", "–"]
    assert cells[cells.index(second) :][:4] == [second, "in the model all the same", "0.400", "0.500"]
    assert cells[cells.index("gone") :][:4] == ["gone", "left out", "0.600", "0.250"]


def test_the_results_come_first(html):
    assert re.findall(r'<section id="(\w+)">', html)[:2] == ["results", "classes"]


def test_the_same_run_gives_the_same_page(html, run, tmp_path):
    write(run, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == html


def test_control_characters_are_shown_and_do_nothing(run, tmp_path):
    write(run, tmp_path / "report.html", bundle="</code>\u202e\x1b")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "\u202e" not in html and "\x1b" not in html
    assert r"polymodal predict '</code>\u202e\x1b' NEW.csv" in Page(html).text


def test_the_program_that_it_shows_can_be_imported(html):
    lines = re.findall(r"^(?:<pre.*><code>)?(from polymodal\S* import \w+)$", html, re.MULTILINE)
    assert len(lines) == 2
    for line in lines:
        exec(line)


def test_nothing_of_the_data_becomes_markup(html):
    page = Page(html)
    assert not page.tags["script"]
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert page.text.count(EVIL) > 10
    assert page.tags["figure"] == 8 and page.tags["svg"] == 5


def test_it_says_how_sure_each_input_is_by_itself(run, tmp_path, monkeypatch):
    last = replace(run.history.epochs[-1], contribution={"note": 0.25, EVIL: 0.75})
    monkeypatch.setattr(run.history, "epochs", [*run.history.epochs[:-1], last])
    write(run, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert f"{EVIL} 75.0 %, note 25.0 %." in page.text
    assert not page.tags["script"]


def test_it_loads_nothing_from_outside(html):
    page = Page(html)
    (policy,) = [value for _, _, value in page.attributes if value.startswith("default-src")]
    assert policy.startswith("default-src 'none'; img-src data:; media-src data:;") and "script-src 'none'" in policy
    assert not {"link", "iframe", "object", "embed", "base", "form"} & page.tags.keys()
    for _, name, value in page.attributes:
        if name in {"src", "href", "xlink:href", "poster", "action", "srcset"}:
            assert value.startswith(("data:", "#")), value
    assert not re.search(r"@import|url\((?!#)", html)


def test_no_two_figures_share_an_id(html):
    names = Counter(value for _, name, value in Page(html).attributes if name == "id")
    assert max(names.values()) == 1
    used = {value for _, name, value in Page(html).attributes if name == "xlink:href"}
    used |= {f"#{found}" for found in re.findall(r"url\(#([^)]+)\)", html)}
    assert used and used <= {f"#{name}" for name in names}


def test_colours_of_figures_follow_the_theme(html):
    assert "var(--accent)" in html and "prefers-color-scheme: dark" in html
    drawn = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert not [colour for svg in drawn for colour in re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", svg)]


def test_the_figures_of_the_bundle_are_shown(html, run):
    accuracy = run.bundle.metrics.test["accuracy"]
    assert f"<b>{accuracy.value:.3f}</b>" in html
    assert "majority" in html and "linear, note alone" in html and "gradient boosting" in html


def test_what_each_input_is_worth_is_shown(html, run):
    text = Page(html).text
    assert "Missing inputs" in text and "change from all" in text
    lines = run.bundle.metrics.subsets.subsets
    assert lines[0].metrics == run.bundle.metrics.test
    for line in lines:
        missing = [name for name in lines[0].inputs if name not in line.inputs]
        assert (f"without {missing[0]}" if missing else "all inputs") in text


def test_numbers_rejects_and_remarks(tmp_path):
    cells = table()
    cells["size"] = ["many" if k == 4 else k for k in range(ROWS)]
    run = train(cells, make(SMALL | {"target": "price", "columns": {"size": {"modality": "number"}}}))
    write(run, tmp_path / "report.html")
    text = Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert "Predicted against true" in text and "90 % of |errors| below" in text
    assert "1 cell could not be read: they count as missing" in text and "not a number: 'many'" in text


def test_labels(tmp_path):
    cells = table() | {"tags": [["red", EVIL] if k % 2 else ["red", "big"][: k % 3] for k in range(ROWS)]}
    run = train(cells, make(SMALL | {"target": "tags", "task": "tag", "drop": ["price", "label"]}))
    write(run, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "Each label" in page.text and "average precision" in page.text and EVIL in page.text
    assert page.tags["figure"] == 6 and page.tags["svg"] == 4 and not page.tags["script"]


def test_several_numbers(tmp_path):
    cells = table() | {"weight": list(range(ROWS))}
    run = train(cells, make(SMALL | {"target": ["price", "weight"], "drop": ["label"]}))
    write(run, tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "price, weight" in page.text and page.tags["h1"] == 1
    assert page.text.count("Predicted against true") == 2


def test_without_rows_to_measure_on_it_says_so(tmp_path):
    sides = ["train"] * ROWS
    config = make(SMALL | {"target": "label", "split": {"column": "side", "validation": 0}, "drop": ["price"]})
    run = train(table() | {"side": sides}, config)
    assert run.measured is None
    write(run, tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No row was left to measure" in html
    assert 'id="mistakes"' not in html and 'id="data"' in html


def test_interactive_figures_run_no_other_code(run, tmp_path):
    write(run, tmp_path / "report.html", interactive=True)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    policy = re.search(r"script-src ([^\"]*)\"", html)[1]
    assert "unsafe" not in policy
    scripts = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert policy.split() == [f"'sha256-{digest}'" for digest in digests]
    data = re.search(r'<script type="application/json" id="plots">(.*?)</script>', html, re.DOTALL)[1]
    assert not {"<", ">", "&"} & set(data)  # nothing can end the element
    assert "figure-1" in json.loads(data)
    assert Page(html).tags["script"] == 3


@pytest.mark.parametrize(("package", "interactive"), [("matplotlib", False), ("plotly.offline", True)])
def test_an_extra_that_is_not_installed_is_named(run, tmp_path, monkeypatch, package, interactive):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"report.*polymodal\[plots\]"):
        write(run, tmp_path / "report.html", interactive=interactive)
    assert not (tmp_path / "report.html").exists()


def test_a_folder_that_is_not_there_is_named(run, tmp_path):
    with pytest.raises(UsageError, match=r"Cannot write the report to .*nowhere"):
        write(run, tmp_path / "nowhere" / "report.html")


def test_media_beyond_the_budget_are_named_instead(run):
    from polymodal.schema import Column

    table_ = run.table.with_column("photo", [np.zeros((40, 40, 3), np.uint8)] * run.table.num_rows)
    columns = [Column(name="photo", kind="image", modality="image", reason="")]
    previewer = Previewer(table_, columns, run.bundle.config.limits, left=1_500)
    first, *_, last = previewer.rows([0, 1, 2, 3])
    assert "<img" in first["photo"]
    assert "<img" not in last["photo"] and "left out to keep the page small" in last["photo"]


def test_a_class_may_be_called_anything_that_a_font_lacks():
    drawing = Pen().draw("Titel", lambda axes: axes.annotate("数字 😀 $\\frac{", (0, 0)), [], x="", y="")
    assert "数字 😀 $\\frac{" in drawing.svg
