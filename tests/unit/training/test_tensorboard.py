"""What TensorBoard finds in a run's folder is what the log says."""

from __future__ import annotations

import math
import sys

import pytest

from polymodal.errors import MissingExtraError
from polymodal.metrics.history import EpochRecord, History
from polymodal.training.callbacks import TensorBoard, clear_events, require_tensorboard


def record(epoch: int, loss: float) -> EpochRecord:
    return EpochRecord(
        epoch, loss, None, {"accuracy": 0.5 + epoch / 10}, 9.0, 1.0, lr=0.1, contribution={"image": 0.25}
    )


def test_scalars_are_written_by_epoch(tmp_path):
    board = TensorBoard(tmp_path / "train")
    board.on_epoch(record(1, 2.0))
    board.on_epoch(record(2, math.nan))
    board.on_end(History([record(1, 2.0), record(2, math.nan)], best_epoch=2))
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = event_accumulator.EventAccumulator(str(tmp_path / "train")).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss/train")] == [(1, 2.0)]  # NaN is left out
    assert [e.value for e in events.Scalars("validation/accuracy")] == pytest.approx([0.6, 0.7])
    assert [e.value for e in events.Scalars("contribution/image")] == [0.25, 0.25]
    assert events.Scalars("best_epoch")[0].value == 2
    assert "metric/train" not in events.Tags()["scalars"]  # it was not defined


def test_an_older_run_is_taken_away_and_nothing_else(tmp_path):
    TensorBoard(tmp_path / "train").on_end(History())
    (tmp_path / "train" / "mine.txt").write_text("kept")
    clear_events(tmp_path)
    assert [path.name for path in (tmp_path / "train").iterdir()] == ["mine.txt"]


def test_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingExtraError, match=r"polymodal\[tensorboard\]"):
        require_tensorboard()
