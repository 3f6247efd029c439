"""What a training tells of itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from polymodal.errors import UsageError


@dataclass(frozen=True)
class EpochRecord:
    """One epoch.

    Attributes:
        epoch: from 1.
        loss: weighted mean over the training rows as they were learned (with dropout and augmentation).
        metric: the watched metric over the same rows; None where it is not defined for them, as for mixtures of rows.
        validation: every metric of the task over the validation rows; empty without such rows.
        rows_per_second: training rows, without the time of validation.
        seconds: of the whole epoch.
        lr: learning rate of the last update.
        contribution: by input, its part in the sum of the unimodal confidences of all inputs in the true targets of the
            training rows (for `classify`: the mean probability of the true class): small where others starve it, or
            where it tells nothing. Empty with one input, and where neither auxiliary heads nor a balance measure it.
    """

    epoch: int
    loss: float
    metric: float | None
    validation: Mapping[str, float]
    rows_per_second: float
    seconds: float
    lr: float
    contribution: Mapping[str, float] = field(default_factory=dict)


@dataclass
class History:
    """All epochs that were completed.

    Attributes:
        best_epoch: the epoch whose weights the model holds; 0 where no epoch was completed.
        interrupted: ended by Ctrl-C.
        ended: when and why the training ended, such as "after all 16 epochs"; empty while it goes on.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    interrupted: bool = False
    ended: str = ""

    @property
    def pace(self) -> float:
        """Seconds that one more epoch will probably take: the longer of the last two."""
        return max((record.seconds for record in self.epochs[-2:]), default=0.0)

    def to_dict(self) -> dict[str, list[Any]]:
        """The epochs as columns of a table: `epoch`, `loss`, `validation_accuracy`, ..., `contribution_INPUT`, ..."""
        rows = [_flat(record) for record in self.epochs]
        names = dict.fromkeys(name for row in rows for name in row)
        return {name: [row.get(name) for row in rows] for name in names}

    def to_pandas(self) -> Any:
        """The epochs as a DataFrame, one row an epoch; columns as in `to_dict`.

        Raises:
            UsageError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise UsageError("to_pandas needs pandas: pip install pandas; or take to_dict.") from error
        return pandas.DataFrame(self.to_dict())

    def choice(self, metric: str, num_rows: int) -> str:
        """Which epoch's weights are kept and why, in a sentence or two; empty where no epoch was completed.

        Args:
            metric: that was watched.
            num_rows: validation rows that it was measured on.
        """
        if not self.epochs:
            return ""
        value = self.epochs[self.best_epoch - 1].validation.get(metric)
        if value is None:
            why = "the last one, for there are no validation rows to choose by"
        else:
            why = f"the best {metric} on {num_rows:,} validation rows, {value:.3f}"
        end = f" The training ended {self.ended}." if self.ended else ""
        return f"Epoch {self.best_epoch} is kept: {why}.{end}"

    def state_dict(self) -> dict[str, Any]:
        """The same as plain values."""
        return asdict(self)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Becomes what another history was."""
        self.epochs = [EpochRecord(**record) for record in state["epochs"]]
        self.best_epoch, self.interrupted = int(state["best_epoch"]), bool(state["interrupted"])
        self.ended = str(state["ended"])


def _flat(record: EpochRecord) -> dict[str, Any]:
    """One epoch, its mappings spread over columns of their own."""
    found: dict[str, Any] = {}
    for name, value in asdict(record).items():
        found |= {f"{name}_{key}": one for key, one in value.items()} if isinstance(value, dict) else {name: value}
    return found


def merged(histories: Iterable[History]) -> History:
    """Several trainings, one after the other, as one: their epochs counted on; a single one is itself.

    The best epoch is that of the last training which completed one.
    """
    every = list(histories)
    if len(every) == 1:
        return every[0]
    result = History(interrupted=any(history.interrupted for history in every))
    for history in every:
        before = len(result.epochs)
        result.epochs += [replace(record, epoch=before + record.epoch) for record in history.epochs]
        result.best_epoch = before + history.best_epoch if history.epochs else result.best_epoch
    return result
