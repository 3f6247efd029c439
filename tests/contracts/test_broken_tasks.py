"""The contract check must fail on tasks that break one rule each: of the target, and of results."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch

from polymodal.layers.scores_head import ScoresHead
from polymodal.metrics.bootstrap import repeated
from polymodal.tasks.classify import Classify, ClassLoss
from polymodal.tasks.regress import Regress
from polymodal.testing import check_task
from polymodal.types import Cells

# --- settings and the target


class TakesAnySetting(Classify):
    @dataclass(frozen=True)
    class Config:
        pass


class FitsOtherwiseTheSecondTime(Classify):
    calls = 0

    def fit(self, values, *, column):
        FitsOtherwiseTheSecondTime.calls += 1
        return super().fit(values, column=column) | {"calls": FitsOtherwiseTheSecondTime.calls}


class Incomplete:
    """A task without `sides` and `needs`."""

    Config, metric, monitor, greater_is_better = Classify.Config, "accuracy", "log_loss", Classify.greater_is_better
    stratified, targeted, recognise = True, True, Classify.recognise
    __init__, fit, encode, collate = Classify.__init__, Classify.fit, Classify.encode, Classify.collate
    head, rows, metrics, decode = Classify.head, Classify.rows, Classify.metrics, Classify.decode


class NamesStrangeColumns(Classify):
    def sides(self, columns):
        return {"": (*columns, "third")}


class NeedsNothingWeKnow(Classify):
    def needs(self):
        return None


class EncodesTheMissing(Classify):
    def encode(self, value):
        return np.array([0]) if value is None else super().encode(value)


class ForgetsWhatItHasSeen(Classify):
    def encode(self, value):
        return None if value == "maybe" else super().encode(value)


class ChangesDtype(Classify):
    def encode(self, value):
        found = super().encode(value)
        return found.astype(float) if value == "maybe" else found


class SaysUnknownByNan(Regress):
    def collate(self, arrays):
        target = super().collate(arrays)
        return Cells(target.values.masked_fill(~target.present[:, None, None], torch.nan), target.lengths)


class KnowsEveryTarget(Regress):
    def collate(self, arrays):
        target = super().collate(arrays)
        return Cells(target.values, torch.ones_like(target.lengths))


class CollatesAcrossRows(Regress):
    def collate(self, arrays):
        target = super().collate(arrays)
        return Cells(target.values - target.values.mean(dim=0), target.lengths)


# --- predictions and metrics


class NotScoring(Classify):
    """Late fusion would refuse it without a word why."""

    @property
    def criterion(self):
        raise AttributeError("criterion")

    def head(self, widths):
        (width,) = widths.values()
        return ScoresHead(
            self.readout(width), ClassLoss(self.class_weight, smoothing=0.1, one_vs_rest=False), self.prior
        )


class DecodesWithoutPrediction(Classify):
    def decode(self, prediction):
        columns = super().decode(prediction)
        return {name: column for name, column in columns.items() if name != "prediction"}


class DecodesTooFew(Classify):
    def decode(self, prediction):
        return {name: column[1:] for name, column in super().decode(prediction).items()}


class RowsOfOtherLength(Classify):
    def rows(self, prediction, target):
        return super().rows(prediction, target) | {"classes": np.arange(3)}


class WithoutMonitor(Classify):
    monitor = "no_such_metric"


class UndefinedMetric(Classify):
    def metrics(self, rows, weights):
        return super().metrics(rows, weights) | {"ece": np.full(len(weights), np.nan)}


class OneValueForAllWeightings(Classify):
    def metrics(self, rows, weights):
        return {name: values[:1] for name, values in super().metrics(rows, weights).items()}


class NoDirection(Classify):
    def metrics(self, rows, weights):
        return super().metrics(rows, weights) | {"luck": np.full(len(weights), 0.5)}


class ExplainsOthersMetrics(Classify):
    metric_words: ClassVar[dict[str, str]] = {"rmse": "root of the mean squared error"}


class IgnoresWeights(Classify):
    def metrics(self, rows, weights):
        return super().metrics(rows, np.ones_like(weights))


class CountsZeroWeights(Classify):
    """A row of weight 0 still counts a little."""

    def metrics(self, rows, weights):
        return super().metrics(rows, np.maximum(weights, 0.1))


class SquaresWeights(Classify):
    def metrics(self, rows, weights):
        return super().metrics(rows, weights**2)


class InfiniteLogLoss(Classify):
    def log_loss(self, scores, target):
        return float("inf")


class RepeatsRows(Classify):
    """Correct: metrics that know no weights."""

    def metrics(self, rows, weights):
        def once(some):
            ones = np.ones((1, len(some["target"])))
            return {name: values[0] for name, values in Classify.metrics(self, some, ones).items()}

        return repeated(once, rows, weights)


def test_metrics_that_know_no_weights_pass():
    check_task(RepeatsRows)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (TakesAnySetting, "unknown setting"),
        (FitsOtherwiseTheSecondTime, "second time"),
        (Incomplete, "lacks something that `protocols.Task` names"),
        (NamesStrangeColumns, "do not enter the model: \\['third'\\]"),
        (NeedsNothingWeKnow, "`Needs`"),
        (EncodesTheMissing, "gives something for a missing value"),
        (ForgetsWhatItHasSeen, "gives nothing for a value"),
        (ChangesDtype, "dtype"),
        (SaysUnknownByNan, "a target is not finite"),
        (KnowsEveryTarget, "length 0 must say: unknown"),
        (CollatesAcrossRows, "for a row alone than among others"),
        (NotScoring, "predicts Scores exactly where"),
        (DecodesWithoutPrediction, "no column `prediction`"),
        (DecodesTooFew, "decode does not give one value a row"),
        (RowsOfOtherLength, "rows does not give one entry a row"),
        (WithoutMonitor, "lack `metric` or `monitor`"),
        (UndefinedMetric, "metrics are not finite"),
        (OneValueForAllWeightings, "one value for each weighting"),
        (NoDirection, "does not know the metric 'luck'"),
        (ExplainsOthersMetrics, "explains metrics that the task does not have"),
        (IgnoresWeights, "a weight of 2 is not the row twice"),
        (CountsZeroWeights, "a weight of 2 is not the row twice"),
        (SquaresWeights, "a weight of 2 is not the row twice"),
        (InfiniteLogLoss, "log_loss"),
    ],
)
def test_broken_tasks_are_caught(part, words):
    with pytest.raises(AssertionError, match=words):
        check_task(part)
