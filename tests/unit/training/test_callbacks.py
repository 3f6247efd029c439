import io
import json
import re
import sys

import pytest

from polymodal.metrics.history import EpochRecord, History
from polymodal.training.callbacks import Callback, JsonLog, Progress
from polymodal.training.progress import RunProgress


def record(epoch: int = 1, **changes) -> EpochRecord:
    values = {
        "epoch": epoch,
        "loss": 0.5,
        "metric": 0.75,
        "validation": {"accuracy": 0.625, "log_loss": 1.5},
        "rows_per_second": 1234.4,
        "seconds": 2.0,
        "lr": 1e-3,
        "contribution": {"image": 0.75, "sound": 0.25},
    }
    return EpochRecord(**{**values, **changes})


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_they_are_callbacks(tmp_path):
    assert isinstance(JsonLog(tmp_path / "log.jsonl"), Callback)
    assert isinstance(Progress(3, metric="accuracy"), Callback)


def test_the_log_has_one_whole_line_an_epoch_as_soon_as_it_is_over(tmp_path):
    path = tmp_path / "log.jsonl"
    path.write_text("of an older run\n")
    log = JsonLog(path)
    for epoch in (1, 2):
        log.on_epoch(record(epoch))
        lines = path.read_text().splitlines()
        assert len(lines) == epoch
        assert json.loads(lines[-1]) == {
            "epoch": epoch,
            "loss": 0.5,
            "metric": 0.75,
            "validation": {"accuracy": 0.625, "log_loss": 1.5},
            "rows_per_second": 1234.4,
            "seconds": 2.0,
            "lr": 1e-3,
            "contribution": {"image": 0.75, "sound": 0.25},
        }
    log.on_end(History())
    assert len(path.read_text().splitlines()) == 2


def test_the_log_is_json_whatever_the_figures(tmp_path):
    path = tmp_path / "log.jsonl"
    JsonLog(path).on_epoch(record(loss=float("nan"), metric=None, validation={"r2": float("-inf")}))

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    line = json.loads(path.read_text(), parse_constant=refuse)
    assert line["loss"] is None
    assert line["metric"] is None
    assert line["validation"] == {"r2": None}


def test_progress_is_quiet_where_there_is_no_terminal(capsys):
    progress = Progress(3, metric="accuracy")
    progress.on_epoch(record())
    progress.on_end(History())
    assert capsys.readouterr() == ("", "")


def test_verbose_progress_is_one_plain_line_an_epoch(capsys):
    progress = Progress(4, metric="accuracy", verbose=True)
    progress.on_epoch(record(1, seconds=30.0))
    progress.on_epoch(record(2, seconds=20.0, metric=None, validation={}))
    progress.on_end(History())
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "epoch 1/4  loss 0.5000  accuracy 0.7500  val_accuracy 0.6250  1,234 rows/s  0:01:30 left",
        "epoch 2/4  loss 0.5000  1,234 rows/s  0:00:50 left",
    ]


@pytest.mark.parametrize("ended_by", ["the last epoch", "an error"])
def test_a_terminal_shows_every_figure_and_gets_its_cursor_back(monkeypatch, ended_by):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stderr", Terminal())
    progress = Progress(2, metric="accuracy")
    progress.on_epoch(record(1))
    if ended_by == "the last epoch":
        progress.on_epoch(record(2))
    progress.on_end(History())
    shown = sys.stderr.getvalue()
    for words in ("1/2", "loss 0.5000", "accuracy 0.7500", "val_accuracy 0.6250", "1,234 rows/s", "0:00:02 left"):
        assert words in shown
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def shown(callbacks, capsys, *epochs: int) -> list[str]:
    for callback in callbacks:
        for epoch in epochs:
            callback.on_epoch(record(epoch, seconds=10.0))
        callback.on_end(History())
    return capsys.readouterr().err.splitlines()


def test_a_run_counts_its_trainings_and_the_time_for_all_of_them(capsys):
    progress = RunProgress(verbose=True)
    progress.expect(1, refits=1, refit_epochs=0.25)
    first, second = shown(progress("train", 8, "accuracy"), capsys, 1, 2)
    assert first.startswith("1/2 search  epoch 1/8  loss 0.5000")
    assert first.endswith("0:01:30 left")  # seven epochs, and two of the refit
    assert second.endswith("0:01:20 left")
    (refit,) = shown(progress("refit", 2, "accuracy"), capsys, 1)
    assert refit.startswith("2/2 refit  epoch 1/2") and refit.endswith("0:00:10 left")


def test_inputs_that_learn_by_themselves_are_named(capsys):
    progress = RunProgress(verbose=True)
    progress.expect(2, refits=2, refit_epochs=1.0)
    (line,) = shown(progress("train:photo", 4, "accuracy"), capsys, 1)
    assert line.startswith("1/4 search photo  epoch 1/4") and line.endswith("0:02:30 left")


@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
def test_a_line_fits_the_terminal_and_no_word_of_it_is_cut(monkeypatch, width):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stderr", Terminal())
    progress = RunProgress()
    progress.expect(1, refits=1, refit_epochs=0.25)
    (callback,) = progress("train", 16, "quadratic_weighted_kappa")
    callback.on_epoch(record(1, validation={"quadratic_weighted_kappa": 0.625}))
    callback.on_end(History())
    line = next(line for line in reversed(sys.stderr.getvalue().splitlines()) if "epoch 1/16" in line)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).strip()
    assert len(text) <= width and "…" not in text
    assert text.startswith("1/2 search  epoch 1/16") and text.endswith(" left")
    assert width < 100 or "val_quadratic_weighted_kappa 0.6250" in text
