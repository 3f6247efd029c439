import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.special import expit, log_softmax
from sklearn.utils.class_weight import compute_class_weight
from torch.nn import functional as F

from polymodal.config import Part, part_settings
from polymodal.errors import ConfigError, DataError
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.types import Head, Prediction, Tokens

LABELS = ["cat", "dog", "dog", "emu", "dog", "cat"]


def head(labels: Sequence[object] = LABELS, **settings: object) -> Classify:
    torch.manual_seed(0)
    statistics = Classify.fit_target(labels, column="label")
    return Classify(ClassifyConfig(**settings), width=5, statistics=statistics).eval()


def prediction(scores: torch.Tensor) -> Prediction:
    return Prediction(scores, torch.ones(len(scores), dtype=torch.bool))


def test_is_a_head() -> None:
    assert isinstance(head(), Head)


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
    statistics = Classify.fit_target(values, column="y")
    assert (statistics["kind"], statistics["classes"]) == (kind, classes)


@pytest.mark.parametrize("values", [["b", "a"], [10, 9], [1.5, -2.0], [True, False], ["é\u202e\x00", "1.0"]])
def test_decode_gives_back_what_the_table_held(values: list[object]) -> None:
    part = head(values)
    position = Classify.encode_target(values, Classify.fit_target(values, column="y")).astype(int)
    decoded = part.decode(np.eye(2, dtype=np.float32)[position])["prediction"]
    assert decoded.tolist() == values
    assert [type(value) for value in decoded] == [type(value) for value in values]


def test_statistics_count_the_rows() -> None:
    statistics = Classify.fit_target([*LABELS, None, math.nan, ""], column="label")
    assert statistics["counts"] == [2, 3, 1]
    assert statistics["prior"] == pytest.approx([2 / 6, 3 / 6, 1 / 6])


def test_statistics_are_json() -> None:
    statistics = Classify.fit_target([np.int64(3), np.int64(4)], column="y")
    assert TypeAdapter(dict).validate_json(TypeAdapter(dict).dump_json(statistics)) == statistics


def test_encoding_is_the_same_however_a_class_is_spelt() -> None:
    statistics = Classify.fit_target([1, 2, 2], column="y")
    encoded = Classify.encode_target(["1", 1, 1.0, np.float32(2), "2"], statistics)
    assert encoded.tolist() == [0, 0, 0, 1, 1]


def test_fault_16_missing_labels_are_left_out() -> None:
    statistics = Classify.fit_target(["a", None, "b", math.nan, ""], column="y")
    encoded = Classify.encode_target(["a", None, "b", math.nan, "", "never seen"], statistics)
    np.testing.assert_array_equal(encoded, [0, math.nan, 1, math.nan, math.nan, math.nan])
    part = head(["a", "b"])
    scores = torch.zeros(6, 2, requires_grad=True)
    loss = part.loss(prediction(scores), torch.from_numpy(encoded))
    loss.sum().backward()
    assert (loss == 0).tolist() == [False, True, False, True, True, True]
    assert (scores.grad == 0).all(dim=1).tolist() == [False, True, False, True, True, True]
    some = part.metrics(np.array([[2.0, 0], [0, 9], [0, 1], [0, 9], [0, 9], [0, 9]]), encoded)
    assert some == part.metrics(np.array([[2.0, 0], [0, 1]]), np.array([0.0, 1.0]))


@pytest.mark.parametrize(
    ("values", "held"), [(["a", "a", None], "one class only, 'a',"), ([1, 1.0, "1"], "'1'"), ([None, ""], "no value")]
)
def test_fault_17_one_class_is_an_error_before_training(values: list[object], held: str) -> None:
    with pytest.raises(DataError, match="'label'") as caught:
        Classify.fit_target(values, column="label")
    assert held in str(caught.value)


def test_classes_may_be_said_before_they_have_rows() -> None:
    config = ClassifyConfig(classes=("emu", "cat", "dog"), class_weight="balanced")
    statistics = Classify.fit_target(["cat", "dog", "dog", None], column="label", config=config)
    assert statistics["classes"] == ["cat", "dog", "emu"]
    assert statistics["counts"] == [1, 2, 0]
    assert statistics["prior"] == pytest.approx([(1 + 1 / 3) / 4, (2 + 1 / 3) / 4, (1 / 3) / 4])
    assert Classify.encode_target(["emu"], statistics).tolist() == [2]
    built = Classify(config, width=5, statistics=statistics)
    assert torch.isfinite(built.prior).all() and torch.isfinite(built.class_weight).all()
    said = Classify.fit_target([1, 2, 2], column="label", config=ClassifyConfig(classes=("10", "2", "1")))
    assert (said["classes"], said["kind"]) == (["1", "2", "10"], "int")
    mixed = Classify.fit_target([1, 2, 2], column="label", config=ClassifyConfig(classes=("1", "2", "other")))
    assert mixed["kind"] == "str"
    one = Classify.fit_target(["cat"], column="label", config=ClassifyConfig(classes=("cat", "dog")))
    assert one["counts"] == [1, 0]
    with pytest.raises(DataError, match=r"holds 'emu', which task\.classes lacks: cat, dog"):
        Classify.fit_target(LABELS, column="label", config=ClassifyConfig(classes=("cat", "dog")))
    assert Classify.fit_target(LABELS, column="label", config=ClassifyConfig(classes=("cat", "dog", "emu"))) == (
        Classify.fit_target(LABELS, column="label")
    )
    config = part_settings("tasks", Part(name="classify", classes=[1, 2.0, True]))
    assert config.classes == ("1", "2", "true")


def test_fault_18_a_class_of_one_row_learns_and_is_measured() -> None:
    part = head(["a"] * 50 + ["b"] * 50 + ["rare"], class_weight="balanced")
    loss = part.loss(prediction(torch.zeros(3, 3)), torch.tensor([0, 1, 2]))
    assert torch.isfinite(loss).all()
    scores = np.random.default_rng(0).normal(size=(20, 3))
    measured = part.metrics(scores, np.arange(20) % 2)  # no row of the rare class
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


# --- the network


def tokens(present: Sequence[int], garbage: float = 0.0) -> Tokens:
    """Rows of so many real tokens out of four."""
    torch.manual_seed(1)
    values = torch.randn(len(present), 4, 5)
    mask = torch.arange(4) < torch.tensor(present).unsqueeze(1)
    return Tokens(torch.where(mask.unsqueeze(2), values, torch.tensor(garbage)), mask)


@pytest.mark.parametrize("settings", [{}, {"hidden": 7}, {"loss": "bce"}])
def test_rows_with_nothing_present_get_the_prior(settings: dict[str, object]) -> None:
    part = head(**settings)
    found = part(tokens([0, 2, 0], garbage=math.nan))
    assert found.present.tolist() == [False, True, False]
    decoded = part.decode(found.scores.detach().numpy())
    for name, prior in {"p_cat": 2 / 6, "p_dog": 3 / 6, "p_emu": 1 / 6}.items():
        assert decoded[name][[0, 2]] == pytest.approx([prior, prior], abs=1e-6)
    assert np.isfinite(decoded["p_cat"]).all()


def test_scores_of_absent_rows_are_the_log_prior() -> None:
    scores = head()(tokens([0])).scores
    torch.testing.assert_close(scores, torch.tensor([[2 / 6, 3 / 6, 1 / 6]]).log())


@pytest.mark.parametrize("hidden", [0, 7])
@pytest.mark.parametrize("present", [[0, 0], [1, 0], [4, 2]])
def test_every_parameter_is_in_the_graph(hidden: int, present: list[int]) -> None:
    part = head(hidden=hidden)
    part.loss(part(tokens(present)), torch.tensor([0, 1])).sum().backward()
    for name, parameter in part.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name
        assert (parameter.grad != 0).any() == (max(present) > 0), name


def test_masked_tokens_have_no_influence() -> None:
    part = head(hidden=3)
    torch.testing.assert_close(part(tokens([2, 1])).scores, part(tokens([2, 1], garbage=1e9)).scores)


def test_learning_starts_from_the_prior() -> None:
    part = head()
    torch.testing.assert_close(part.readout.linear.bias.detach(), part.prior)


# --- the loss


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_equals_its_definition(smoothing: float) -> None:
    part = head(label_smoothing=smoothing)
    scores = torch.randn(6, 3, dtype=torch.float64)
    target = np.array([0, 1, 2, 2, 1, 0])
    truth = np.eye(3)[target] * (1 - smoothing) + smoothing / 3
    expected = -(truth * log_softmax(scores.numpy(), axis=1)).sum(axis=1)
    np.testing.assert_allclose(part.loss(prediction(scores), torch.from_numpy(target)), expected, rtol=1e-6)


def test_one_against_the_rest_equals_its_definition() -> None:
    part = head(loss="bce", label_smoothing=0.1)
    scores = torch.randn(4, 3, dtype=torch.float64)
    target = np.array([0, 1, 2, 2])
    truth, p = np.eye(3)[target] * 0.9 + 0.05, expit(scores.numpy())
    expected = -(truth * np.log(p) + (1 - truth) * np.log(1 - p)).sum(axis=1)
    np.testing.assert_allclose(part.loss(prediction(scores), torch.from_numpy(target)), expected, rtol=1e-6)


def test_with_two_classes_bce_is_the_binary_cross_entropy_of_the_log_odds() -> None:
    part = head(["a", "b"], loss="bce", label_smoothing=0.0)
    scores, target = torch.randn(8, 2), torch.randint(2, (8,))
    expected = F.binary_cross_entropy_with_logits(scores[:, 1] - scores[:, 0], target.float(), reduction="none")
    torch.testing.assert_close(part.loss(prediction(scores), target), expected)


@pytest.mark.parametrize(
    ("labels", "weights"),
    [([0, 1, 1], {0: 3, 1: 1}), ([True, False], {True: 3}), ([0.5, 1.0], {0.5: 3}), (["a", "b"], {"a": 3})],
)
def test_class_weights_name_classes_as_the_table_does(labels, weights) -> None:
    config = part_settings("tasks", Part(name="classify", class_weight=weights))
    statistics = Classify.fit_target(labels, column="y")
    part = Classify(config, width=2, statistics=statistics)
    place = int(Classify.encode_target([next(iter(weights))], statistics)[0])
    assert part.class_weight[place] == 3
    assert part.class_weight.sum() == 4


def test_class_weights_multiply_the_loss_of_their_rows() -> None:
    scores, target = torch.randn(6, 3), torch.tensor([0, 1, 2, 2, 1, 0])
    plain = head().loss(prediction(scores), target)
    named = head(class_weight={"emu": 4.0}).loss(prediction(scores), target)
    torch.testing.assert_close(named / plain, torch.tensor([1.0, 1, 4, 4, 1, 1]))
    balanced = head(class_weight="balanced").loss(prediction(scores), target)
    expected = compute_class_weight("balanced", classes=np.unique(LABELS), y=LABELS)
    np.testing.assert_allclose(balanced / plain, expected[target], rtol=1e-6)


def test_a_weight_for_an_unknown_class_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"'dogg'.*Did you mean 'dog'"):
        head(class_weight={"dogg": 2.0})


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
    extreme = np.array([[1e4, 0, -1e4], [-1e4, -2e4, -3e4], [0, 0, 0]], dtype=np.float32)
    decoded = head(loss=loss).decode(extreme)
    table = np.stack([decoded[f"p_{name}"] for name in ["cat", "dog", "emu"]], axis=1)
    np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-12)
    np.testing.assert_allclose(table[1], [1, 0, 0], atol=1e-12)
    np.testing.assert_allclose(table[2], 1 / 3)
    assert decoded["prediction"][:2].tolist() == ["cat", "cat"]


def test_one_against_the_rest_divides_the_probabilities_by_their_sum() -> None:
    scores = np.random.default_rng(0).normal(size=(5, 3))
    p = expit(scores)
    found = np.exp(head(loss="bce").log_probabilities(scores))
    np.testing.assert_allclose(found, p / p.sum(axis=1, keepdims=True))


def test_no_rows_decode_to_no_rows() -> None:
    decoded = head().decode(np.zeros((0, 3), dtype=np.float32))
    assert {name: len(values) for name, values in decoded.items()} == dict.fromkeys(
        ["prediction", "p_cat", "p_dog", "p_emu"], 0
    )


def test_metrics_name_the_primary_and_the_monitored_one() -> None:
    measured = head().metrics(np.eye(3, dtype=np.float32), np.arange(3))
    assert {Classify.metric, Classify.monitor} <= set(measured)
    assert measured["accuracy"] == 1.0
    assert head().metrics(np.zeros((2, 3)), np.array([np.nan, np.nan])) == {}


def test_learns_what_can_be_separated() -> None:
    part = head(["a", "b", "c"], hidden=8, dropout=0.0).train()
    target = torch.arange(30) % 3
    values = F.one_hot(target, 5).float()
    optimizer = torch.optim.Adam(part.parameters(), lr=0.05)
    for _ in range(60):
        optimizer.zero_grad()
        part.loss(part(Tokens.vector(values)), target).mean().backward()
        optimizer.step()
    assert part.eval().metrics(part(Tokens.vector(values)).scores.detach().numpy(), target.numpy())["accuracy"] == 1.0


@pytest.mark.parametrize("settings", [{}, {"loss": "bce"}, {"class_weight": {"cat": 9.0}}])
def test_confidence_is_the_probability_of_the_true_class_that_decoding_gives(settings) -> None:
    part = head(**settings)
    scores = torch.randn(4, 3)
    target = torch.tensor([2.0, 0.0, math.nan, 1.0])
    sure = part.confidence(prediction(scores), target)
    decoded = part.decode(scores.numpy())
    expected = [decoded["p_emu"][0], decoded["p_cat"][1], math.nan, decoded["p_dog"][3]]
    np.testing.assert_allclose(sure, expected, rtol=1e-5)
