import io
import json
import sys

import pytest

from polymodal.metrics.history import EpochRecord, History
from polymodal.training.callbacks import Callback, JsonLog, Progress


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
