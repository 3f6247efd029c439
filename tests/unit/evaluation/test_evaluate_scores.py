import json

import numpy as np
import pytest

from polymodal.evaluation.evaluate import evaluate_scores, report
from polymodal.metrics import regression
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.types import Head


def classifier(labels: list[object], **settings: object) -> Classify:
    return Classify(ClassifyConfig(**settings), width=2, statistics=Classify.fit_target(labels, column="y"))


class PlainHead(Head):
    """A head of someone else's, whose metrics take no weights."""

    def __init__(self, head: Classify) -> None:
        self.head = head

    def metrics(self, scores: np.ndarray, target: np.ndarray) -> dict[str, float]:
        return self.head.metrics(scores, target)


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_classification_report_is_json_with_an_interval_around_each_metric(loss: str) -> None:
    head = classifier(["a", "b", "c"], loss=loss)
    rng = np.random.default_rng(0)
    target = rng.integers(3, size=90).astype(float)
    target[:5] = np.nan
    scores = rng.normal(size=(90, 3)).astype(np.float32)
    found = evaluate_scores(head, scores, target, seed=0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {name: entry["value"] for name, entry in found.items()} == head.metrics(scores, target)
    for entry in found.values():
        assert list(entry) == ["value", "low", "high"]
        assert entry["low"] <= entry["value"] <= entry["high"]
        assert entry["low"] < entry["high"]


def test_regression_report_is_in_the_unit_of_the_target() -> None:
    values = [float(value) for value in range(100)]
    statistics = Regress.fit_target(values, column="y")
    head = Regress(RegressConfig(), width=2, statistics=statistics)
    target = Regress.encode_target(values, statistics)
    error = np.tile([2.0, -2.0], 50)
    found = evaluate_scores(head, (target + error / statistics["std"])[:, None], target, seed=0)
    assert set(found) == {"r2", "rmse", "mae"}
    assert found["mae"] == pytest.approx({"value": 2, "low": 2, "high": 2})


def test_a_head_without_weighted_metrics_gets_the_same_report() -> None:
    head = classifier(["a", "b"])
    rng = np.random.default_rng(1)
    scores, target = rng.normal(size=(30, 2)), rng.integers(2, size=30).astype(float)
    expected = evaluate_scores(head, scores, target, seed=3)
    found = evaluate_scores(PlainHead(head), scores, target, seed=3)
    assert {name: pytest.approx(entry) for name, entry in expected.items()} == found


def test_many_scores_get_fewer_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def measure(scores: np.ndarray, target: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        sizes.append(len(weights))
        return regression.measure(scores, target, weights)

    for work, expected in [(10**9, 1000), (50 * 400, 400), (1, 200)]:
        monkeypatch.setattr("polymodal.evaluation.evaluate._WORK", work)
        sizes.clear()
        report(np.ones(50), np.arange(50.0), measure, seed=0)
        assert sum(sizes) - 1 == expected  # one more for the value itself


def test_rows_of_one_class_still_have_a_report() -> None:
    found = evaluate_scores(classifier(["a", "b"]), np.zeros((4, 2)), np.zeros(4), seed=0)
    assert "accuracy" in found and "roc_auc" not in found


def test_no_row_of_known_target_gives_an_empty_report() -> None:
    assert evaluate_scores(classifier(["a", "b"]), np.zeros((2, 2)), np.full(2, np.nan), seed=0) == {}
