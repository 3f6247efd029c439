"""What late fusion makes of opinions, against the formulas written out in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, logit
from torch import nn

from polymodal.fusions.average import Average, AverageConfig
from polymodal.fusions.max import Max, MaxConfig
from polymodal.fusions.sum import Sum, SumConfig
from polymodal.fusions.weighted import Weighted, WeightedConfig
from polymodal.tasks.classify import Classify, ClassifyConfig
from polymodal.tasks.ordinal import Ordinal, OrdinalConfig
from polymodal.tasks.regress import Regress, RegressConfig
from polymodal.tasks.tag import Tag, TagConfig
from polymodal.timings._opinions import RULES, Combination, Stack, without_layers
from polymodal.types import Tokens

ROWS = 6
RNG = np.random.default_rng(0)
SCORES = {name: 3 * RNG.normal(size=(ROWS, 3)) for name in ("a", "b", "c")}
PRESENT = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 0], [1, 0, 1], [1, 1, 1], [0, 0, 0]], dtype=bool).T
FUSIONS = {
    "average": (Average, AverageConfig(project=False, weights={"b": 2.0})),
    "weighted": (Weighted, WeightedConfig(project=False)),
    "max": (Max, MaxConfig(project=False)),
    "product": (Sum, SumConfig(project=False)),
    "sum": (Sum, SumConfig(project=False)),
}


def classify(loss: str = "cross_entropy") -> Classify:
    statistics = Classify.fit_target(["x"] * 5 + ["y"] * 3 + ["z"] * 2, column="label")
    return Classify(ClassifyConfig(loss=loss), width=1, statistics=statistics)


def tag() -> Tag:
    values = [["x"], ["x", "y"], ["x", "y", "z"], ["z"], ["x"]]
    return Tag(
        TagConfig(min_count=1), width=1, statistics=Tag.fit_target(values, column="tags", config=TagConfig(min_count=1))
    )


def ordinal() -> Ordinal:
    return Ordinal(OrdinalConfig(), width=1, statistics=Ordinal.fit_target([1, 2, 2, 3], column="grade"))


def regress() -> Regress:
    values = [{"u": 1.0, "v": 2.0, "w": 5.0}, {"u": 2.0, "v": 1.0, "w": 4.0}]
    return Regress(RegressConfig(), width=1, statistics=Regress.fit_target(values, column="amount"))


def opinions() -> dict[str, Tokens]:
    return {
        name: Tokens.vector(torch.tensor(scores, dtype=torch.float32), torch.tensor(PRESENT[place]))
        for place, (name, scores) in enumerate(SCORES.items())
    }


def combination(name: str, head) -> Combination:
    result = Combination(RULES[name], nn.Identity(), head)
    cls, config = FUSIONS[name]
    result.fusion = cls(config, widths=dict.fromkeys(SCORES, result.width_inside))
    if name == "weighted":
        torch.nn.init.normal_(result.fusion.scores)
    return result.eval()


def combined(name: str, probabilities: np.ndarray, prior: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Of one row: probabilities [inputs that are present, classes] -> one distribution."""
    total = {
        "average": lambda: (weights[:, None] * probabilities).sum(axis=0),
        "weighted": lambda: (weights[:, None] * probabilities).sum(axis=0),
        "max": lambda: probabilities.max(axis=0),
        "product": lambda: probabilities.prod(axis=0),
        "sum": lambda: prior * (probabilities / prior).prod(axis=0),
    }[name]()
    return total / total.sum(axis=-1, keepdims=True)


def weights_of(module: Combination, name: str) -> np.ndarray:
    if name == "weighted":
        return module.fusion.scores.detach().double().exp().numpy()
    return np.array([1.0, 2.0, 1.0])


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("make", [classify, ordinal])
def test_classes_are_combined_as_the_rule_says(name, make):
    head = make()
    module = combination(name, head)
    prior = np.exp(log_softmax(head.prior.double().numpy()))
    found = torch.softmax(module(opinions()).values[:, 0].double(), 1).detach().numpy()
    every = np.stack([np.exp(log_softmax(scores, axis=1)) for scores in SCORES.values()], axis=1)
    weights = weights_of(module, name)
    for row in range(ROWS - 1):
        here = PRESENT[:, row]
        expected = combined(name, every[row, here], prior, weights[here])
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("make", [tag, lambda: classify("bce")])
def test_every_label_is_combined_as_two_classes(name, make):
    head = make()
    module = combination(name, head)
    prior = expit(head.prior.double().numpy())
    found = expit(module(opinions()).values[:, 0].double().detach().numpy())
    every = np.stack([expit(scores) for scores in SCORES.values()], axis=1)
    weights = weights_of(module, name)
    for row in range(ROWS - 1):
        here = PRESENT[:, row]
        for label in range(3):
            two = np.stack([every[row, here, label], 1 - every[row, here, label]], axis=1)
            expected = combined(name, two, np.array([prior[label], 1 - prior[label]]), weights[here])
            np.testing.assert_allclose(found[row, label], expected[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["average", "weighted"])
def test_numbers_are_averaged_as_they_are(name):
    module = combination(name, regress())
    found = module(opinions()).values[:, 0].detach().numpy()
    weights = weights_of(module, name)
    every = np.stack(list(SCORES.values()), axis=1)
    for row in range(ROWS - 1):
        here = PRESENT[:, row]
        expected = (weights[here, None] * every[row, here]).sum(axis=0) / weights[here].sum()
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_a_row_where_nobody_says_anything_gets_the_prior(name):
    head = without_layers(classify())
    prediction = head(combination(name, head)(opinions()))
    assert prediction.present.tolist() == [True] * (ROWS - 1) + [False]
    assert torch.equal(prediction.scores[-1], head.prior)


@pytest.mark.parametrize("make", [classify, tag, ordinal, regress])
def test_a_head_without_layers_predicts_what_enters_it_and_learns_nothing(make):
    head = without_layers(make())
    values = torch.randn(4, 3)
    assert torch.equal(head(Tokens.vector(values)).scores, values)
    assert not list(head.parameters())
    assert not head.state_dict()
    assert head.decode(values.numpy())


def test_products_of_sure_opinions_do_not_underflow():
    head = classify()
    sure = {name: Tokens.vector(torch.tensor([[90.0, 0.0, -90.0]])) for name in "abc"}
    scores = combination("product", head)(sure).values[0, 0]
    torch.testing.assert_close(scores, torch.tensor([0.0, -270.0, -540.0]))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (classify, lambda head, s: log_softmax(s, axis=1) - log_softmax(head.prior.double().numpy())),
        (tag, lambda head, s: s - head.prior.double().numpy()),
        (regress, lambda head, s: s),
    ],
)
def test_a_stack_gets_how_far_each_input_moved_the_prior(make, expected):
    head = make()
    seen = {}

    class Spy(nn.Module):
        width = 3

        def forward(self, tokens):
            seen.update(tokens)
            return tokens["a"]

    Stack(Spy(), head)(opinions())
    for name, scores in SCORES.items():
        np.testing.assert_allclose(
            seen[name].values[:, 0].numpy(), np.clip(expected(head, scores), -10, 10), rtol=1e-4, atol=1e-5
        )


def test_log_odds_of_the_prior_are_what_they_are_called():
    np.testing.assert_allclose(classify("bce").prior, logit([0.5, 0.3, 0.2]), rtol=1e-5)
