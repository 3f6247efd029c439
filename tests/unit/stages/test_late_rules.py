"""What late fusion makes of unimodal predictions, against the formulas written out in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from played import classify, ordinal, regress, tag
from scipy.special import expit, log_softmax, logit
from torch import nn

from polymodal.abilities import Scoring
from polymodal.fusions.average import Average, AverageConfig
from polymodal.fusions.max import Max
from polymodal.fusions.sum import Sum
from polymodal.fusions.weighted import Weighted
from polymodal.layers.scores_head import FirstToken, ScoresHead
from polymodal.models.decisions import RULES, Combination, Stack, combined_width
from polymodal.types import Scores, Tokens

ROWS = 6
RNG = np.random.default_rng(0)
SCORES = {name: 3 * RNG.normal(size=(ROWS, 3)) for name in ("a", "b", "c")}
PRESENT = np.array([[1, 1, 1], [1, 1, 0], [0, 1, 0], [1, 0, 1], [1, 1, 1], [0, 0, 0]], dtype=bool).T
FUSIONS = {
    "average": (Average, AverageConfig(project=False, weights={"b": 2.0})),
    "weighted": (Weighted, Weighted.Config(project=False)),
    "max": (Max, Max.Config(project=False)),
    "product": (Sum, Sum.Config(project=False)),
    "sum": (Sum, Sum.Config(project=False)),
}


def of_classes(loss: str = "cross_entropy") -> Scoring:
    return classify(["x"] * 5 + ["y"] * 3 + ["z"] * 2, loss=loss)


def of_grades() -> Scoring:
    return ordinal([1, 2, 2, 3])


def of_labels() -> Scoring:
    return tag([["x"], ["x", "y"], ["x", "y", "z"], ["z"], ["x"]])


def of_numbers() -> Scoring:
    return regress([{"u": 1.0, "v": 2.0, "w": 5.0}, {"u": 2.0, "v": 1.0, "w": 4.0}])


def predictions() -> dict[str, Tokens]:
    return {
        name: Tokens.vector(torch.tensor(scores, dtype=torch.float32), torch.tensor(PRESENT[place]))
        for place, (name, scores) in enumerate(SCORES.items())
    }


def combination(name: str, task: Scoring) -> Combination:
    cls, config = FUSIONS[name]
    fusion = cls(config, widths=dict.fromkeys(SCORES, combined_width(3, task.meaning)))
    if name == "weighted":
        torch.nn.init.normal_(fusion.scores)
    return Combination(RULES[name], fusion, meaning=task.meaning, prior=task.prior).eval()


def without_layers(task: Scoring) -> ScoresHead:
    return ScoresHead(FirstToken(), task.criterion(), task.prior)


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
@pytest.mark.parametrize("make", [of_classes, of_grades])
def test_classes_are_combined_as_the_rule_says(name, make):
    task = make()
    module = combination(name, task)
    prior = np.exp(log_softmax(task.prior.double().numpy()))
    found = torch.softmax(module(predictions()).values[:, 0].double(), 1).detach().numpy()
    every = np.stack([np.exp(log_softmax(scores, axis=1)) for scores in SCORES.values()], axis=1)
    weights = weights_of(module, name)
    for row in range(ROWS - 1):
        here = PRESENT[:, row]
        expected = combined(name, every[row, here], prior, weights[here])
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("make", [of_labels, lambda: of_classes("bce")])
def test_every_label_is_combined_as_two_classes(name, make):
    task = make()
    module = combination(name, task)
    prior = expit(task.prior.double().numpy())
    found = expit(module(predictions()).values[:, 0].double().detach().numpy())
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
    module = combination(name, of_numbers())
    found = module(predictions()).values[:, 0].detach().numpy()
    weights = weights_of(module, name)
    every = np.stack(list(SCORES.values()), axis=1)
    for row in range(ROWS - 1):
        here = PRESENT[:, row]
        expected = (weights[here, None] * every[row, here]).sum(axis=0) / weights[here].sum()
        np.testing.assert_allclose(found[row], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", RULES)
def test_a_row_where_nobody_says_anything_gets_the_prior(name):
    task = of_classes()
    prediction = without_layers(task).predict({"": combination(name, task)(predictions())})
    assert prediction.present.tolist() == [True] * (ROWS - 1) + [False]
    assert torch.equal(prediction.values[-1], task.prior)


@pytest.mark.parametrize("make", [of_classes, of_labels, of_grades, of_numbers])
def test_a_head_without_layers_predicts_what_enters_it_and_learns_nothing(make):
    task = make()
    head = without_layers(task)
    values = torch.randn(4, 3)
    scores = head.predict({"": Tokens.vector(values)})
    assert torch.equal(scores.values, values)
    assert not list(head.parameters())
    assert not head.state_dict()
    assert task.decode(Scores(values, scores.present))


def test_products_of_certain_predictions_do_not_underflow():
    certain = {name: Tokens.vector(torch.tensor([[90.0, 0.0, -90.0]])) for name in "abc"}
    scores = combination("product", of_classes())(certain).values[0, 0]
    torch.testing.assert_close(scores, torch.tensor([0.0, -270.0, -540.0]))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (of_classes, lambda task, s: log_softmax(s, axis=1) - log_softmax(task.prior.double().numpy())),
        (of_labels, lambda task, s: s - task.prior.double().numpy()),
        (of_numbers, lambda task, s: s),
    ],
)
def test_a_stack_gets_how_far_each_input_moved_the_prior(make, expected):
    task = make()
    seen = {}

    class Spy(nn.Module):
        Config = type(None)
        keeps_time = False
        width = 3

        def forward(self, tokens):
            seen.update(tokens)
            return tokens["a"]

    Stack(Spy(), meaning=task.meaning, prior=task.prior)(predictions())
    for name, scores in SCORES.items():
        np.testing.assert_allclose(
            seen[name].values[:, 0].numpy(), np.clip(expected(task, scores), -10, 10), rtol=1e-4, atol=1e-5
        )


def test_log_odds_of_the_prior_are_what_they_are_called():
    np.testing.assert_allclose(of_classes("bce").prior, logit([0.5, 0.3, 0.2]), rtol=1e-5)
