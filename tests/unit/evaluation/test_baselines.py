"""The baselines against closed forms and against scikit-learn pipelines written out by hand."""

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import sparse
from scipy.special import softmax
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler

from polymodal.data.cells.dataset import Dataset
from polymodal.data.cells.prepare import Prepared
from polymodal.data.cells.store import Store
from polymodal.evaluation.baselines import measure_baselines, predict_baselines
from polymodal.metrics.results import Baselines
from polymodal.protocols import Modality, Task
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.tasks.tag import Tag, TagConfig

Arrays = Sequence[np.ndarray | None]


def store(cells: Arrays) -> Store:
    return Store.of(None if cell is None else np.asarray(cell, dtype=float) for cell in cells)


def classifier(values: Sequence[object]) -> Classify:
    return Classify(ClassifyConfig(), Classify(ClassifyConfig()).fit(values, column="y"))


def regressor(values: Sequence[object]) -> Regress:
    return Regress(RegressConfig(), Regress(RegressConfig()).fit(values, column="y"))


def tagger(values: Sequence[Sequence[str]]) -> Tag:
    config = TagConfig(min_count=1)
    return Tag(config, Tag(config).fit(values, column="y"))


class FakeModality(Modality):
    """Vectors as they are; missing ones are NaN, or empty rows of a sparse matrix."""

    def __init__(self, width: int, *, as_sparse: bool = False) -> None:
        self.width, self.as_sparse = width, as_sparse

    def handcrafted_features(self, arrays: Arrays) -> np.ndarray | sparse.csr_matrix:
        missing = np.full(self.width, 0.0 if self.as_sparse else np.nan)
        rows = np.stack([missing if array is None else array for array in arrays])
        return sparse.csr_matrix(rows) if self.as_sparse else rows


def classification(rows: int = 400, num_classes: int = 3) -> tuple[Classify, np.ndarray, Callable[[float], np.ndarray]]:
    """A task, its target, and a maker of features that tell the classes apart more or less well."""
    rng = np.random.default_rng(0)
    target = np.maximum(rng.integers(num_classes, size=rows), rng.integers(num_classes, size=rows))

    def features(signal: float) -> np.ndarray:
        return signal * np.eye(num_classes, 5)[target] + rng.normal(size=(rows, 5)) + 100

    return classifier(target.tolist()), target, features


def run(
    task: Task,
    columns: dict[str, tuple[Arrays, FakeModality]],
    target: Sequence[object],
    *,
    inputs: dict[str, Sequence[str]] | None = None,
    **rows: np.ndarray,
) -> Baselines:
    """The baselines of the first half of the rows on the second.

    Args:
        task: fitted.
        columns: cells and modality by name.
        target: a value a row, None where it is missing.
        inputs: names of columns; each by itself where there are none.
        rows: `train` and `test`, in place of the halves.
    """
    split = {"train": np.arange(len(target) // 2), "test": np.arange(len(target) // 2, len(target)), **rows}
    prepared = Prepared({name: store(cells) for name, (cells, _) in columns.items()}, (), np.array([], dtype=np.int64))
    dataset = Dataset(
        prepared,
        {name: modality for name, (_, modality) in columns.items()},
        task,
        Store.of([task.encode(value) for value in target]),
    )
    inputs = inputs or {name: [name] for name in columns}
    return measure_baselines(predict_baselines(task, dataset, inputs=inputs, **split), seed=0)


def same_report(found: dict, target: np.ndarray, probabilities: np.ndarray) -> None:
    assert found["accuracy"].value == (probabilities.argmax(axis=1) == target).mean()
    assert found["log_loss"].value == pytest.approx(log_loss(target, probabilities), rel=1e-4)


def test_majority_is_the_share_of_the_most_frequent_class() -> None:
    target = ["a"] * 60 + ["b"] * 40 + ["a"] * 30 + ["b"] * 70
    found = run(classifier(["a", "b"]), {"x": (list(np.zeros((200, 2))), FakeModality(2))}, target)
    assert found.reports["majority"]["accuracy"].value == 0.3
    assert found.reports["majority"]["roc_auc"].value == 0.5
    assert found.reports["majority"]["log_loss"].value == pytest.approx(
        -(0.3 * np.log(0.6) + 0.7 * np.log(0.4)), rel=0.01
    )


def test_linear_equals_averaged_logistic_regressions() -> None:
    task, target, features = classification()
    columns = {"a": features(1.5), "b": features(1.0)}
    for x in columns.values():
        x[200:] += 0.5  # the test rows differ, so that it shows if they took part in the scaling
    found = run(task, {name: (list(x), FakeModality(5)) for name, x in columns.items()}, target)
    prior = (np.bincount(target[:200]) + 1 / 3) / 201
    total = np.zeros((200, 3))
    for name, x in columns.items():
        scaled = StandardScaler().fit(x[:200]).transform(x) / np.sqrt(5)
        model = LogisticRegression(C=20.0).fit(scaled[:200], target[:200])
        probabilities = (200 * model.predict_proba(scaled[200:]) + prior) / 201
        total += np.log(probabilities)
        same_report(found.linear_by_input[name], target[200:], probabilities)
    same_report(found.reports["linear"], target[200:], softmax(total / 2, axis=1))
    assert found.reports["linear"]["accuracy"].value > max(
        found.linear_by_input[name]["accuracy"].value for name in columns
    )


def test_reports_are_json_in_the_shape_of_metrics_json() -> None:
    task, target, features = classification()
    found = run(task, {"a": (list(features(1)), FakeModality(5))}, target)
    assert list(found.model_dump()) == ["majority", "linear", "gradient_boosting", "linear_by_input"]
    written = json.loads(json.dumps(found.model_dump(mode="json"), allow_nan=False))
    assert Baselines.model_validate(written) == found
    reports = written["majority"], written["linear"], written["linear_by_input"]["a"]
    for entry in (entry for report in reports for entry in report.values()):
        assert list(entry) == ["value", "low", "high"]


def test_sparse_and_dense_inputs_stand_side_by_side() -> None:
    task, target, features = classification()
    words = (np.random.default_rng(1).random((400, 40)) < 0.1) + np.eye(3, 40)[target]
    found = run(
        task,
        {"x": (list(features(0.5)), FakeModality(5)), "text": (list(words), FakeModality(40, as_sparse=True))},
        target,
    )
    assert found.linear_by_input["text"]["accuracy"].value > 0.9
    assert found.reports["linear"]["accuracy"].value > 0.9


def test_columns_of_one_input_stand_side_by_side_and_others_apart() -> None:
    task, target, features = classification(num_classes=2)
    noise = features(0)[:, :1]
    # Only the difference of the two columns tells the classes apart: alone, each is useless.
    other = noise + 0.5 * (2 * target[:, None] - 1)
    found = run(
        task,
        {
            "u": (list(noise), FakeModality(1)),
            "v": (list(other), FakeModality(1)),
            "table": (list(features(0)), FakeModality(5)),  # a column of the name that a group has elsewhere
        },
        target,
        inputs={"table": ["table"], "table_2": ["u", "v"]},
    )
    assert list(found.linear_by_input) == ["table", "table_2"]
    assert found.linear_by_input["table_2"]["accuracy"].value == 1.0
    assert found.linear_by_input["table"]["accuracy"].value < 0.9


def test_missing_cells_neither_train_nor_vote() -> None:
    task, target, features = classification()
    good, bad = features(6), features(0)
    some: list[np.ndarray | None] = list(good)
    for row in range(0, 400, 2):
        some[row] = None
    found = run(task, {"good": (some, FakeModality(5))}, target)
    prior = np.bincount(target[:200]).argmax()
    absent, present = np.arange(200, 400, 2), np.arange(201, 400, 2)
    expected = ((target[absent] == prior).sum() + len(present)) / 200
    assert found.reports["linear"]["accuracy"].value == pytest.approx(expected, abs=0.02)
    found = run(task, {"good": (some, FakeModality(5)), "bad": (list(bad), FakeModality(5))}, target, test=present)
    assert found.reports["linear"]["accuracy"].value > 0.9


def test_an_input_is_fitted_on_the_rows_that_have_it() -> None:
    task, target, features = classification()
    x = features(1)
    has = np.arange(400) % 3 > 0
    has[:200] &= (target[:200] > 0) | (np.arange(200) % 5 == 0)  # mostly absent from one class
    cells = [row if present else None for row, present in zip(x, has, strict=True)]
    test = np.flatnonzero(has[200:]) + 200
    some = run(task, {"x": (cells, FakeModality(5))}, target, test=test)
    only = run(task, {"x": (cells, FakeModality(5))}, target, train=np.flatnonzero(has[:200]), test=test)
    # The prior, which counts all rows, enters as one row more.
    for name in ("accuracy", "log_loss"):
        assert some.reports["linear"][name].value == pytest.approx(only.reports["linear"][name].value, rel=0.01)


@pytest.mark.parametrize("as_sparse", [False, True])
def test_a_column_that_no_training_row_has_says_nothing(as_sparse: bool) -> None:
    task, target, features = classification()
    cells: list[np.ndarray | None] = [None] * 200 + list(features(1)[200:])
    found = run(task, {"late": (cells, FakeModality(5, as_sparse=as_sparse))}, target)
    assert found.reports["linear"] == found.reports["majority"]
    assert found.linear_by_input == {}
    found = run(regressor([0, 2]), {"late": (cells, FakeModality(5, as_sparse=as_sparse))}, target)
    assert found.reports["linear"] == found.reports["mean"]


def test_classes_that_an_input_never_saw_stay_finite() -> None:
    task, target, features = classification()
    cells: list[np.ndarray | None] = [x if y < 2 else None for x, y in zip(features(3), target, strict=True)]
    cells[200:] = list(features(3)[200:])
    found = run(task, {"x": (cells, FakeModality(5))}, target)
    assert 0 < found.reports["linear"]["log_loss"].value < 10


def test_rows_without_a_target_are_left_out() -> None:
    task, target, features = classification()
    x = features(1)
    spoilt = [*target.tolist(), *[None] * 10]
    longer = list(x) + [np.full(5, 1e6)] * 10
    rows = {"train": np.r_[0:200, 400:405], "test": np.r_[200:400, 405:410]}
    assert run(task, {"x": (longer, FakeModality(5))}, spoilt, **rows) == run(
        task, {"x": (list(x), FakeModality(5))}, target
    )


def test_of_very_many_rows_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    task, target, features = classification()
    x = {"x": (list(features(4)), FakeModality(5))}
    whole = run(task, x, target)
    monkeypatch.setattr(Classify, "baseline_rows", 60)
    drawn = run(task, x, target)
    assert drawn == run(task, x, target) != whole
    assert drawn.reports["linear"]["accuracy"].value > 0.9


def test_regression_beats_the_mean_by_what_the_features_explain() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(600, 3)), (rng.random((600, 30)) < 0.2).astype(float)
    value = 50 + 10 * (a @ [1.0, 2.0, 0.0] + b[:, 0] + rng.normal(size=600))
    columns = {"a": (list(a), FakeModality(3)), "b": (list(b), FakeModality(30, as_sparse=True))}
    found = run(regressor(value[:300].tolist()), columns, value.tolist())
    assert list(found.model_dump()) == ["mean", "linear", "gradient_boosting", "linear_by_input"]
    error = value[300:] - value[:300].mean()
    assert found.reports["mean"]["rmse"].value == pytest.approx(np.sqrt((error**2).mean()))
    assert found.reports["mean"]["mae"].value == pytest.approx(np.abs(error).mean())
    assert found.reports["linear"]["rmse"].value == pytest.approx(10, rel=0.15)  # the noise
    assert found.linear_by_input["a"]["r2"].value < found.reports["linear"]["r2"].value


def test_a_row_with_nothing_gets_the_mean() -> None:
    values = np.arange(100.0)
    cells: list[np.ndarray | None] = [np.array([value]) for value in values]
    cells[:25], cells[50:] = [None] * 25, [None] * 50  # the rows that have it are not like the others
    found = run(regressor(values.tolist()), {"x": (cells, FakeModality(1))}, values.tolist())
    assert found.reports["linear"] == found.reports["mean"]


def test_constant_and_wide_features_do_no_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polymodal.baselines.scaling._MOST_DENSE", 5)
    task, target, features = classification()
    x = np.hstack([np.full((400, 20), 0.1), features(6)])
    found = run(task, {"x": (list(x), FakeModality(25))}, target)
    assert found.reports["linear"]["accuracy"].value > 0.95
    found = run(task, {"x": (list(x[:, :20]), FakeModality(20))}, target)
    assert found.reports["linear"]["accuracy"].value == found.reports["majority"]["accuracy"].value


def boosted(train: np.ndarray, target: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Probabilities of the test rows, the classes' shares having entered as one more training row."""
    min_rows = min(20, len(train) // 20)
    model = HistGradientBoostingClassifier(
        max_iter=50, max_leaf_nodes=8, max_bins=31, learning_rate=0.2, min_samples_leaf=min_rows, early_stopping=False
    ).fit(train, target)
    num_classes = target.max() + 1
    prior = (np.bincount(target) + 1 / num_classes) / (len(target) + 1)
    return (len(train) * model.predict_proba(test) + prior) / (len(train) + 1)


def test_gradient_boosting_is_that_of_scikit_learn_with_gaps_as_missing_values() -> None:
    task, target, features = classification()
    a, b = features(2), features(1)
    a[::3] = np.nan
    cells = {"a": [None if np.isnan(x).any() else x for x in a], "b": list(b)}
    found = run(task, {name: (some, FakeModality(5)) for name, some in cells.items()}, target)
    joined = np.hstack([a, b])
    same_report(found.reports["gradient_boosting"], target[200:], boosted(joined[:200], target[:200], joined[200:]))


def test_gradient_boosting_sees_what_two_inputs_tell_together() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(600, 1)), rng.normal(size=(600, 1))
    same = (a * b > 0)[:, 0]
    columns = {"a": (list(a), FakeModality(1)), "b": (list(b), FakeModality(1))}
    found = run(classifier([0, 1]), columns, same.astype(int).tolist())
    assert found.reports["gradient_boosting"]["accuracy"].value > 0.9
    assert found.reports["linear"]["accuracy"].value < 0.65
    found = run(regressor([-1.0, 1.0]), columns, (a * b)[:, 0].tolist())
    assert found.reports["gradient_boosting"]["r2"].value > 0.6
    assert found.reports["linear"]["r2"].value < 0.1
    tagged = [["same", "high"] if both and high else ["same"] if both else ["high"] if high else []
              for both, high in zip(same, a[:, 0] > 0, strict=True)]  # fmt: skip
    found = run(tagger(tagged), columns, tagged)
    assert found.reports["gradient_boosting"]["macro_average_precision"].value > 0.95
    assert found.reports["linear"]["macro_average_precision"].value < 0.85


@pytest.mark.parametrize("as_sparse", [False, True])
def test_gradient_boosting_of_wide_inputs_rests_on_their_principal_components(as_sparse: bool) -> None:
    task, target, _ = classification()
    rng = np.random.default_rng(1)
    wide = np.eye(3)[target] @ rng.normal(size=(3, 500)) + rng.normal(size=(400, 500))
    if as_sparse:
        wide = (rng.random((400, 500)) < 0.01).astype(float)
        wide[np.arange(400), target * 100] = 2.0
    found = run(task, {"x": (list(wide), FakeModality(500, as_sparse=as_sparse))}, target)
    assert found.reports["gradient_boosting"]["accuracy"].value > 0.9


def test_gradient_boosting_without_any_input_is_the_prior() -> None:
    task, target, features = classification()
    cells: list[np.ndarray | None] = [None] * 200 + list(features(1)[200:])
    found = run(task, {"late": (cells, FakeModality(5))}, target)
    assert found.reports["gradient_boosting"] == found.reports["majority"]
    found = run(task, {"early": (cells[::-1], FakeModality(5))}, target)
    assert found.reports["gradient_boosting"] == found.reports["majority"]


def test_gradient_boosting_of_a_target_whose_rows_all_lack_an_input() -> None:
    rng = np.random.default_rng(0)
    a, known = rng.normal(size=(400, 1)), np.arange(400) % 2 == 0
    cells: list[np.ndarray | None] = [None if there else x for there, x in zip(known, a, strict=True)]
    values = [{"u": float(abs(x)) if there else None, "v": float(x)} for there, (x,) in zip(known, a, strict=True)]
    found = run(regressor(values), {"a": (list(a), FakeModality(1)), "b": (cells, FakeModality(1))}, values)
    assert found.reports["gradient_boosting"]["r2_u"].value > 0.9


def test_gradient_boosting_is_left_out_where_it_would_take_long() -> None:
    columns = {"x": (list(np.random.default_rng(0).normal(size=(240, 2))), FakeModality(2))}
    target = [f"c{row % 51:02}" for row in range(240)]
    assert "gradient_boosting" not in run(classifier(target), columns, target).reports
    tags = [[f"l{row % 11}"] for row in range(240)]
    assert "gradient_boosting" not in run(tagger(tags), columns, tags).reports


def test_no_test_rows_no_report() -> None:
    task, target, features = classification()
    assert (
        run(task, {"x": (list(features(1)), FakeModality(5))}, target, test=np.array([], dtype=np.int64)) == Baselines()
    )


def test_another_kind_of_task_has_no_baseline() -> None:
    class OtherTask(Task):
        def encode(self, value: object) -> np.ndarray:
            return np.array([value])

    assert run(OtherTask(None), {"x": ([np.zeros(1)] * 4, FakeModality(1))}, np.zeros(4)) == Baselines()
