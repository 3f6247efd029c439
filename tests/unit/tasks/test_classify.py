import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.special import expit, log_softmax
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from polymodal.config.run_config import Part, part_settings
from polymodal.errors import ConfigError, DataError
from polymodal.layers.scores_head import ScoresHead
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Head, Task
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.types import Cells, Scores, Tokens

LABELS = ["cat", "dog", "dog", "emu", "dog", "cat"]


def fit(labels: Sequence[object], *, column: str = "label", **settings: object) -> dict[str, Any]:
    return Classify(ClassifyConfig(**settings)).fit(labels, column=column)


def fitted(labels: Sequence[object] = LABELS, **settings: object) -> Classify:
    return Classify(ClassifyConfig(**settings), fit(labels))


def head(labels: Sequence[object] = LABELS, **settings: object) -> ScoresHead:
    torch.manual_seed(0)
    return fitted(labels, **settings).head({"": 5}).eval()


def scores(values: torch.Tensor | np.ndarray | list[list[float]]) -> Scores:
    values = torch.as_tensor(values)
    return Scores(values, torch.ones(len(values), dtype=torch.bool))


def encode(task: Classify, values: Sequence[object]) -> Cells:
    return task.collate([task.encode(value) for value in values])


def classes(places: Sequence[int] | np.ndarray) -> Cells:
    """Known classes by their place."""
    values = torch.as_tensor(np.asarray(places)).long().unsqueeze(1)
    return Cells(values, torch.ones(len(values), dtype=torch.long))


def measure(task: Classify, prediction: Scores, target: Cells) -> dict[str, float]:
    return RowStatistics.of(task, prediction, target).values()


def test_keeps_the_protocols() -> None:
    assert isinstance(fitted(), Task)
    assert isinstance(head(), Head)
    assert not head().in_batch


# --- the target


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        (["b", "a", "b"], "str", ["a", "b"]),
        ([10, 9, np.int64(10)], "int", ["9", "10"]),
        ([1.0, 0.5, None], "float", ["0.5", "1"]),
        ([1, 2.0], "float", ["1", "2"]),
        ([True, np.bool_(False)], "bool", ["false", "true"]),
        (["1", 1, 1.0, "one"], "str", ["1", "one"]),
        ([True, 0], "str", ["0", "true"]),
    ],
)
def test_classes_keep_their_type_and_order(values: list[object], kind: str, classes: list[str]) -> None:
    statistics = fit(values)
    assert (statistics["kind"], statistics["classes"]) == (kind, classes)


@pytest.mark.parametrize("values", [["b", "a"], [10, 9], [1.5, -2.0], [True, False], ["é\u202e\x00", "1.0"]])
def test_decode_gives_back_what_the_table_held(values: list[object]) -> None:
    task = fitted(values)
    places = encode(task, values).values[:, 0]
    decoded = task.decode(scores(torch.eye(2)[places]))["prediction"]
    assert decoded.tolist() == values
    assert [type(value) for value in decoded] == [type(value) for value in values]


def test_statistics_count_the_rows() -> None:
    statistics = fit([*LABELS, None, math.nan, ""])
    assert statistics["counts"] == [2, 3, 1]
    assert statistics["prior"] == pytest.approx([2 / 6, 3 / 6, 1 / 6])


def test_statistics_are_json() -> None:
    statistics = fit([np.int64(3), np.int64(4)])
    assert TypeAdapter(dict).validate_json(TypeAdapter(dict).dump_json(statistics)) == statistics


def test_encoding_is_the_same_however_a_class_is_spelt() -> None:
    encoded = encode(fitted([1, 2, 2]), ["1", 1, 1.0, np.float32(2), "2"])
    assert encoded.values[:, 0].tolist() == [0, 0, 0, 1, 1]
    assert encoded.present.all()


def test_missing_labels_are_left_out() -> None:
    task = fitted(["a", None, "b", math.nan, ""])
    target = encode(task, ["a", None, "b", math.nan, "", "never seen"])
    assert target.present.tolist() == [True, False, True, False, False, False]
    assert target.values[target.present, 0].tolist() == [0, 1]
    values = torch.zeros(6, 2, requires_grad=True)
    loss = head(["a", "b"]).loss(scores(values), target)
    loss.sum().backward()
    assert (loss == 0).tolist() == [False, True, False, True, True, True]
    assert (values.grad == 0).all(dim=1).tolist() == [False, True, False, True, True, True]
    some = measure(task, scores([[2.0, 0], [0, 9], [0, 1], [0, 9], [0, 9], [0, 9]]), target)
    assert some == measure(task, scores([[2.0, 0], [0, 1]]), classes([0, 1]))


@pytest.mark.parametrize(
    ("values", "held"), [(["a", "a", None], "one class only, 'a',"), ([1, 1.0, "1"], "'1'"), ([None, ""], "no value")]
)
def test_one_class_is_an_error_before_training(values: list[object], held: str) -> None:
    with pytest.raises(DataError, match="'label'") as caught:
        fit(values)
    assert held in str(caught.value)


def test_classes_may_be_said_before_they_have_rows() -> None:
    settings = {"classes": ("emu", "cat", "dog"), "class_weight": "balanced"}
    statistics = fit(["cat", "dog", "dog", None], **settings)
    assert statistics["classes"] == ["cat", "dog", "emu"]
    assert statistics["counts"] == [1, 2, 0]
    assert statistics["prior"] == pytest.approx([(1 + 1 / 3) / 4, (2 + 1 / 3) / 4, (1 / 3) / 4])
    task = Classify(ClassifyConfig(**settings), statistics)
    assert task.encode("emu").tolist() == [2]
    assert torch.isfinite(task.prior).all() and torch.isfinite(task.class_weight).all()
    said = fit([1, 2, 2], classes=("10", "2", "1"))
    assert (said["classes"], said["kind"]) == (["1", "2", "10"], "int")
    assert fit([1, 2, 2], classes=("1", "2", "other"))["kind"] == "str"
    assert fit(["cat"], classes=("cat", "dog"))["counts"] == [1, 0]
    with pytest.raises(DataError, match=r"holds 'emu', which task\.classes lacks: cat, dog"):
        fit(LABELS, classes=("cat", "dog"))
    assert fit(LABELS, classes=("cat", "dog", "emu")) == fit(LABELS)
    config = part_settings("tasks", Part(name="classify", classes=[1, 2.0, True]))
    assert config.classes == ("1", "2", "true")


def test_a_class_of_one_row_learns_and_is_measured() -> None:
    labels = ["a"] * 50 + ["b"] * 50 + ["rare"]
    loss = head(labels, class_weight="balanced").loss(scores(torch.zeros(3, 3)), classes([0, 1, 2]))
    assert torch.isfinite(loss).all() and (loss > 0).all()
    drawn = scores(np.random.default_rng(0).normal(size=(20, 3)))
    measured = measure(fitted(labels), drawn, classes(np.arange(20) % 2))  # no row of the rare class
    assert set(measured) >= {"accuracy", "macro_f1", "balanced_accuracy", "roc_auc", "log_loss", "ece"}
    assert all(map(math.isfinite, measured.values()))


@pytest.mark.parametrize(
    ("values", "confidence"),
    [
        ([True, False, None], 0.99),
        (["yes", "no"] * 9, 0.9),
        (list(range(10)) * 9, 0.8),
        ([1.0, 2.0, None] * 9, 0.8),
        (list(range(1000)), 0.3),
        ([f"a caption of row {row}" for row in range(99)], 0.3),
        ([0.5, 1.5, 2.5], None),
        ([None], None),
        ([[1, 2], [3, 4]], None),
    ],
)
def test_recognises_targets_by_their_values(values: list[object], confidence: float | None) -> None:
    found = Classify.recognise(values)
    assert (found.confidence if found else None) == confidence


def test_says_what_it_found() -> None:
    found = Classify.recognise(list(range(10)) * 9)
    assert found is not None and found.reason == "10 distinct whole numbers in 90 rows"


# --- the head


def tokens(present: Sequence[int], garbage: float = 0.0) -> dict[str, Tokens]:
    """Rows of so many real tokens out of four."""
    torch.manual_seed(1)
    values = torch.randn(len(present), 4, 5)
    mask = torch.arange(4) < torch.tensor(present).unsqueeze(1)
    return {"": Tokens(torch.where(mask.unsqueeze(2), values, torch.tensor(garbage)), mask)}


@pytest.mark.parametrize("settings", [{}, {"hidden": 7}, {"loss": "bce"}])
def test_rows_with_nothing_present_get_the_prior(settings: dict[str, object]) -> None:
    with torch.no_grad():
        found = head(**settings).predict(tokens([0, 2, 0], garbage=math.nan))
    assert found.present.tolist() == [False, True, False]
    decoded = fitted(**settings).decode(found)
    for name, prior in {"p_cat": 2 / 6, "p_dog": 3 / 6, "p_emu": 1 / 6}.items():
        assert decoded[name][[0, 2]] == pytest.approx([prior, prior], abs=1e-6)
    assert np.isfinite(decoded["p_cat"]).all()


def test_scores_of_absent_rows_are_the_log_prior() -> None:
    found = head()(tokens([0])).values
    torch.testing.assert_close(found, torch.tensor([[2 / 6, 3 / 6, 1 / 6]]).log())


@pytest.mark.parametrize("hidden", [0, 7])
@pytest.mark.parametrize("present", [[0, 0], [1, 0], [4, 2]])
def test_every_parameter_is_in_the_graph(hidden: int, present: list[int]) -> None:
    part = head(hidden=hidden)
    part.loss(part(tokens(present)), classes([0, 1])).sum().backward()
    for name, parameter in part.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert (parameter.grad != 0).any() == (max(present) > 0), name


def test_masked_tokens_have_no_influence() -> None:
    part = head(hidden=3)
    torch.testing.assert_close(part(tokens([2, 1])).values, part(tokens([2, 1], garbage=1e9)).values)


def test_learning_starts_from_the_prior() -> None:
    part = head()
    torch.testing.assert_close(part.readout.linear.bias.detach(), part.prior)


# --- the loss


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_equals_its_definition(smoothing: float) -> None:
    part = head(label_smoothing=smoothing)
    values = torch.randn(6, 3, dtype=torch.float64)
    target = np.array([0, 1, 2, 2, 1, 0])
    truth = np.eye(3)[target] * (1 - smoothing) + smoothing / 3
    expected = -(truth * log_softmax(values.numpy(), axis=1)).sum(axis=1)
    np.testing.assert_allclose(part.loss(scores(values), classes(target)), expected, rtol=1e-6)


def test_one_against_the_rest_equals_its_definition() -> None:
    part = head(loss="bce", label_smoothing=0.1)
    values = torch.randn(4, 3, dtype=torch.float64)
    target = np.array([0, 1, 2, 2])
    truth, p = np.eye(3)[target] * 0.9 + 0.05, expit(values.numpy())
    expected = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).sum(axis=1)
    np.testing.assert_allclose(part.loss(scores(values), classes(target)), expected, rtol=1e-6)


def test_with_two_classes_bce_is_the_binary_cross_entropy_of_the_log_odds() -> None:
    part = head(["a", "b"], loss="bce", label_smoothing=0.0)
    values, target = torch.randn(8, 2), torch.randint(2, (8,))
    expected = F.binary_cross_entropy_with_logits(values[:, 1] - values[:, 0], target.float(), reduction="none")
    torch.testing.assert_close(part.loss(scores(values), classes(target)), expected)


@pytest.mark.parametrize(
    ("labels", "weights"),
    [([0, 1, 1], {0: 3, 1: 1}), ([True, False], {True: 3}), ([0.5, 1.0], {0.5: 3}), (["a", "b"], {"a": 3})],
)
def test_class_weights_name_classes_as_the_table_does(labels, weights) -> None:
    config = part_settings("tasks", Part(name="classify", class_weight=weights))
    task = Classify(config, Classify(config).fit(labels, column="y"))
    place = int(task.encode(next(iter(weights)))[0])
    assert task.class_weight[place] == 3
    assert task.class_weight.sum() == 4


def test_class_weights_multiply_the_loss_of_their_rows() -> None:
    found, target = scores(torch.randn(6, 3)), classes([0, 1, 2, 2, 1, 0])
    plain = head().loss(found, target)
    named = head(class_weight={"emu": 4.0}).loss(found, target)
    torch.testing.assert_close(named / plain, torch.tensor([1.0, 1, 4, 4, 1, 1]))
    balanced = head(class_weight="balanced").loss(found, target)
    expected = compute_class_weight("balanced", classes=np.unique(LABELS), y=LABELS)
    np.testing.assert_allclose(balanced / plain, expected[target.values[:, 0]], rtol=1e-6)


def test_a_weight_for_an_unknown_class_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"'dogg'.*Did you mean 'dog'"):
        fitted(class_weight={"dogg": 2.0})


@pytest.mark.parametrize(
    "settings",
    [{"label_smoothing": 1.0}, {"dropout": -0.1}, {"loss": "mse"}, {"hiden": 3}, {"class_weight": {"a": -1}}],
)
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(ClassifyConfig).validate_python(settings)


# --- words and metrics


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_probabilities_are_stable_and_add_up_to_one(loss: str) -> None:
    extreme = scores([[1e4, 0, -1e4], [-1e4, -2e4, -3e4], [0, 0, 0]])
    decoded = fitted(loss=loss).decode(extreme)
    table = np.stack([decoded[f"p_{name}"] for name in ["cat", "dog", "emu"]], axis=1)
    np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(table[1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(table[2], 1 / 3)
    assert decoded["prediction"][:2].tolist() == ["cat", "cat"]


def test_one_against_the_rest_divides_the_probabilities_by_their_sum() -> None:
    values = np.random.default_rng(0).normal(size=(5, 3))
    p = expit(values)
    found = np.exp(fitted(loss="bce").log_probabilities(scores(values)))
    np.testing.assert_allclose(found, p / p.sum(axis=1, keepdims=True))


def test_no_rows_decode_to_no_rows() -> None:
    decoded = fitted().decode(scores(torch.zeros(0, 3)))
    assert {name: len(values) for name, values in decoded.items()} == dict.fromkeys(
        ["prediction", "p_cat", "p_dog", "p_emu"], 0
    )


def test_metrics_name_the_primary_and_the_monitored_one() -> None:
    measured = measure(fitted(), scores(torch.eye(3)), classes(np.arange(3)))
    assert {Classify.metric, Classify.monitor} <= set(measured)
    assert set(measured) == set(Classify.greater_is_better)
    assert measured["accuracy"] == 1.0
    assert measure(fitted(), scores(torch.zeros(2, 3)), encode(fitted(), [None, None])) == {}


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_log_loss_is_that_of_the_decoded_probabilities(loss: str) -> None:
    task, found, places = fitted(loss=loss), scores(torch.randn(7, 3)), np.arange(7) % 3
    probabilities = np.stack([task.decode(found)[f"p_{name}"] for name in ["cat", "dog", "emu"]], axis=1)
    expected = -np.log(probabilities[np.arange(7), places]).mean()
    assert task.log_loss(found, classes(places)) == pytest.approx(expected)
    assert measure(task, found, classes(places))["log_loss"] == pytest.approx(expected)


@pytest.mark.parametrize(("loss", "meaning"), [("cross_entropy", "classes"), ("bce", "labels")])
def test_the_meaning_of_the_scores_follows_the_loss(loss: str, meaning: str) -> None:
    assert fitted(loss=loss).meaning == meaning
    assert fitted(["a", "b"], loss=loss).meaning == "classes"  # two classes: the two losses are the same function


def test_outcomes_show_probabilities_beside_the_true_class() -> None:
    task, found = fitted(), scores(torch.randn(3, 3))
    (outcome,) = task.outcomes(found, classes([2, 0, 1]), np.array([7, 8, 9]), name="label")
    assert (outcome.labels, outcome.target.tolist(), outcome.rows.tolist()) == (
        ["cat", "dog", "emu"], [2, 0, 1], [7, 8, 9]
    )  # fmt: skip
    np.testing.assert_array_equal(outcome.probabilities[:, 2], task.decode(found)["p_emu"])


def test_learns_what_can_be_separated() -> None:
    part = head(["a", "b", "c"], hidden=8, dropout=0.0).train()
    target = classes(np.arange(30) % 3)
    batch = {"": Tokens.vector(F.one_hot(target.values[:, 0], 5).float())}
    optimizer = torch.optim.Adam(part.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        part.loss(part(batch), target).mean().backward()
        optimizer.step()
    with torch.no_grad():
        found = part.eval().predict(batch)
    assert measure(fitted(["a", "b", "c"]), found, target)["accuracy"] == 1.0


@pytest.mark.parametrize("settings", [{}, {"loss": "bce"}, {"class_weight": {"cat": 9.0}}])
def test_confidence_is_the_probability_of_the_true_class_that_decoding_gives(settings) -> None:
    task, found = fitted(**settings), scores(torch.randn(4, 3))
    target = encode(task, ["emu", "cat", None, "dog"])
    confidences = task.criterion().confidence(found, target)
    decoded = task.decode(found)
    expected = [decoded["p_emu"][0], decoded["p_cat"][1], math.nan, decoded["p_dog"][3]]
    np.testing.assert_allclose(confidences, expected, rtol=1e-5)
