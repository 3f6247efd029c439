"""`polymodal train` leaves a report: with the run, without matplotlib not, and a browser opens it without complaint."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys

import pytest
from cli_tables import SMALL

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def test_a_run_has_a_report_with_pictures_and_players(run):
    html = (run / "report.html").read_text(encoding="utf-8")
    assert 10_000 < len(html) < 3_000_000
    assert "data:image/jpeg;base64," in html and "data:audio/ogg;base64," in html
    assert f"polymodal predict {run}/bundle" in html


def test_without_matplotlib_train_says_so_in_one_line_and_goes_on(cli, table, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = cli("train", table, "--target", "label", "--split", "side", "-o", tmp_path / "run", settings=SMALL)
    assert done.code == 0 and (tmp_path / "run/bundle").exists()
    assert re.fullmatch(r"report.html needs the package 'matplotlib'.*polymodal\[plots\]'\n", done.err)
    assert not (tmp_path / "run/report.html").exists() and "Report:" not in done.out


def test_plotly_and_tensorboard_on_request(cli, table, run, tmp_path):
    folder = tmp_path / "run"
    for _ in range(2):  # the second replaces the first
        done = cli("train", table, "-c", run / "run.yaml", "--plotly", "--tensorboard", "--overwrite", "-o", folder)
        assert (done.code, done.err) == (0, "")
    assert "Plotly" in (folder / "report.html").read_text(encoding="utf-8")
    assert {path.name for path in (folder / "tensorboard").iterdir()} == {"train", "refit"}
    assert len(list(folder.glob("tensorboard/*/events*"))) == 2


def open_in_browser(page, folder, *, width, scheme):
    """The size of the document as the browser lays it out, and what it complains of."""
    outer = folder / "outer.html"
    # a frame, because a window of the browser is never as narrow as a phone
    outer.write_text(
        f'<body style="margin:0"><iframe id=f src="{page.as_uri()}" width={width} height=900></iframe>'
        "<script>f.onload = () => { const d = f.contentDocument, e = d.documentElement;"
        "const broken = [...d.querySelectorAll('img')].filter(i => !i.naturalWidth).length;"
        "document.title = [e.scrollWidth, e.scrollHeight, getComputedStyle(d.body).backgroundColor, broken].join('|') }"
        "</script>"
    )
    command = [
        CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
        f"--user-data-dir={folder / 'profile'}", "--enable-logging=stderr", "--virtual-time-budget=4000",
        f"--blink-settings=preferredColorScheme={scheme}", "--window-size=1400,1000", "--dump-dom", outer.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    title = re.search(r"<title>([^<]+)</title>", done.stdout)
    complaints = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return (title[1].split("|") if title else None), complaints


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium, chromium-browser or google-chrome")
@pytest.mark.parametrize(("width", "scheme"), [(390, 0), (1280, 1)])
def test_a_browser_opens_it_on_a_phone_by_night_and_a_desktop_by_day(run, tmp_path, width, scheme):
    found, complaints = open_in_browser(run / "report.html", tmp_path, width=width, scheme=scheme)
    assert complaints == []
    assert found is not None
    wide, high, colour, broken = found
    assert int(wide) <= width  # nothing but tables scrolls sideways
    assert int(high) > 2_000
    assert colour == ("rgb(17, 21, 26)", "rgb(251, 251, 250)")[scheme]
    assert broken == "0"
