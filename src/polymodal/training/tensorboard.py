"""Writes what a training tells of itself for TensorBoard (`tensorboard --logdir RUN/tensorboard`)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from polymodal.errors import MissingExtraError
from polymodal.metrics.history import EpochRecord, History


class TensorBoard:
    """Scalars by epoch: `loss/train`, `metric/train`, `validation/METRIC`, `speed/rows_per_second`, `lr`,
    `contribution/INPUT`.

    What is not finite, or not defined, is left out.

    Args:
        folder: of this training's event file; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.writer = require_tensorboard()(str(folder))

    def on_epoch(self, record: EpochRecord) -> None:
        scalars = {
            "loss/train": record.loss,
            "metric/train": record.metric,
            "lr": record.lr,
            "speed/rows_per_second": record.rows_per_second,
            **{f"validation/{name}": value for name, value in record.validation.items()},
            **{f"contribution/{name}": value for name, value in record.contribution.items()},
        }
        for name, value in scalars.items():
            if value is not None and math.isfinite(value):
                self.writer.add_scalar(name, value, record.epoch)
        self.writer.flush()  # a killed run leaves what it learned until then

    def on_end(self, history: History) -> None:
        self.writer.add_scalar("best_epoch", history.best_epoch, len(history.epochs))
        self.writer.close()


def require_tensorboard() -> Any:
    """The class that writes event files.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("tensorboard", "tensorboard", "--tensorboard") from error
    return SummaryWriter


def clear(folder: Path) -> None:
    """Takes away the event files of an older run, which would be drawn into one with the new."""
    for path in sorted(folder.glob("*/events.out.tfevents.*")):
        path.unlink()
