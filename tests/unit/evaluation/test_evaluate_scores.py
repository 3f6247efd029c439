import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from polymodal.evaluation.evaluate import report
from polymodal.metrics import regression
from polymodal.metrics.bootstrap import repeated
from polymodal.metrics.results import Report
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Task
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.types import Scores


def classifier(labels: list[object], cls: type[Classify] = Classify, **settings: object) -> Classify:
    config = ClassifyConfig(**settings)
    return cls(config, cls(config).fit(labels, column="y"))


class Unweighted(Classify):
    """A task of someone else's, whose metrics take no weights."""

    def metrics(self, rows: Mapping[str, np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
        return repeated(self.of_rows, rows, weights)

    def of_rows(self, rows: Mapping[str, np.ndarray]) -> dict[str, float]:
        found = super().metrics(rows, np.ones((1, len(rows["target"]))))
        return {name: float(value[0]) for name, value in found.items()}


def statistics(task: Task, scores: np.ndarray, values: Sequence[object]) -> RowStatistics:
    prediction = Scores(torch.as_tensor(scores), torch.ones(len(scores), dtype=torch.bool))
    return RowStatistics.of(task, prediction, task.collate([task.encode(value) for value in values]))


def measured(task: Task, scores: np.ndarray, values: Sequence[object], *, seed: int = 0) -> Report:
    return report(statistics(task, scores, values), seed=seed)


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_classification_report_is_json_with_an_interval_around_each_metric(loss: str) -> None:
    task = classifier(["a", "b", "c"], loss=loss)
    rng = np.random.default_rng(0)
    values: list[object] = rng.choice(["a", "b", "c"], 90).tolist()
    values[:5] = [None] * 5
    scores = rng.normal(size=(90, 3)).astype(np.float32)
    found = measured(task, scores, values)
    json.dumps({name: asdict(entry) for name, entry in found.items()}, allow_nan=False)
    assert {name: entry.value for name, entry in found.items()} == statistics(task, scores[5:], values[5:]).values()
    predicted = [("a", "b", "c")[k] for k in scores[5:].argmax(axis=1)]
    assert found["accuracy"].value == accuracy_score(values[5:], predicted)
    for entry in found.values():
        assert entry.low <= entry.value <= entry.high
        assert entry.low < entry.high


def test_regression_report_is_in_the_unit_of_the_target() -> None:
    values = [float(value) for value in range(100)]
    fitted = Regress(RegressConfig()).fit(values, column="y")
    task = Regress(RegressConfig(), fitted)
    target = (np.array(values) - fitted["mean"]) / fitted["std"]
    error = np.tile([2.0, -2.0], 50)
    found = measured(task, (target + error / fitted["std"])[:, None], values)
    assert set(found) == {"r2", "rmse", "mae"}
    assert astuple(found["mae"]) == pytest.approx((2, 2, 2))


def test_a_task_without_weighted_metrics_gets_the_same_report() -> None:
    rng = np.random.default_rng(1)
    scores, values = rng.normal(size=(30, 2)), rng.choice(["a", "b"], 30).tolist()
    expected = measured(classifier(["a", "b"]), scores, values, seed=3)
    found = measured(classifier(["a", "b"], Unweighted), scores, values, seed=3)
    assert {name: pytest.approx(astuple(entry)) for name, entry in expected.items()} == {
        name: astuple(entry) for name, entry in found.items()
    }


def test_many_scores_get_fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Watched(Regress):
        def metrics(self, rows: Mapping[str, np.ndarray], weights: np.ndarray) -> dict[str, np.ndarray]:
            sizes.append(len(weights))
            return regression.measure(rows["predicted"][:, 0], rows["target"][:, 0], weights)

    values = np.arange(50.0).tolist()
    task = Watched(RegressConfig(), Regress(RegressConfig()).fit(values, column="y"))
    for work, expected in [(10**9, 1000), (50 * 400, 400), (1, 200)]:
        monkeypatch.setattr("polymodal.evaluation.evaluate._WORK", work)
        sizes.clear()
        measured(task, np.ones((50, 1)), values)
        assert sum(sizes) - 1 == expected  # one more for the value itself


def test_rows_of_one_class_still_have_a_report() -> None:
    found = measured(classifier(["a", "b"]), np.zeros((4, 2)), ["a"] * 4)
    assert "accuracy" in found and "roc_auc" not in found


def test_no_row_of_known_target_gives_an_empty_report() -> None:
    assert measured(classifier(["a", "b"]), np.zeros((2, 2)), [None, None]) == {}
