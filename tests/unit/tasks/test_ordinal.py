import math

import numpy as np
import pytest
import torch

from polymodal.errors import DataError
from polymodal.layers.scores_head import ScoresHead
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Head, Task
from polymodal.tasks.ordinal import Ordinal, OrdinalConfig
from polymodal.types import Scores, Tokens

GRADES = ["poor", "good", "fair", "good"] * 3
ORDER = OrdinalConfig(order=("poor", "fair", "good", "superb"))


def statistics() -> dict:
    return Ordinal(ORDER).fit([*GRADES, None], column="grade")


def fitted(values: list[object] | None = None) -> Ordinal:
    """Of grades in the user's order; of other values in their own."""
    if values is None:
        return Ordinal(ORDER, statistics())
    return Ordinal(OrdinalConfig(), Ordinal(OrdinalConfig()).fit(values, column="stars"))


def head() -> ScoresHead:
    torch.manual_seed(0)
    return fitted().head({"": 4}).eval()


def tokens(rows: int = 5, scale: float = 1.0) -> dict[str, Tokens]:
    return {"": Tokens.vector(scale * torch.randn(rows, 4))}


def scores(values: torch.Tensor) -> Scores:
    return Scores(values, torch.ones(len(values), dtype=torch.bool))


def test_keeps_the_protocols() -> None:
    assert isinstance(fitted(), Task)
    assert isinstance(head(), Head)


def test_values_alone_never_choose_it() -> None:
    assert Ordinal.recognise([1, 2, 3]) is None


def test_the_order_is_the_users() -> None:
    found = statistics()
    assert (found["classes"], found["counts"]) == (["poor", "fair", "good", "superb"], [3, 3, 6, 0])
    assert found["prior"] == pytest.approx([3.25 / 13, 3.25 / 13, 6.25 / 13, 0.25 / 13])
    task = fitted()
    target = task.collate([task.encode(value) for value in ["good", None, "awful", "poor"]])
    assert target.present.tolist() == [True, False, False, True]
    assert target.values[target.present, 0].tolist() == [2, 0]


@pytest.mark.parametrize("values", [[10, 9, 2, 10], ["10", "9", "2", "10"], [10.0, 9, 2.0, 10]])
def test_numbers_have_an_order_of_their_own(values: list[object]) -> None:
    task = fitted(values)
    assert Ordinal(OrdinalConfig()).fit(values, column="stars")["classes"] == ["2", "9", "10"]
    assert [task.encode(value).tolist() for value in [10, "9", 2.0, "10.0"]] == [[2], [1], [0], [2]]
    decoded = task.decode(scores(torch.eye(3)))
    assert decoded["prediction"].tolist() == [2, 9, 10]


@pytest.mark.parametrize(
    ("values", "config", "words"),
    [
        (["a", "b"], OrdinalConfig(), "holds 'a', which is no number: say the order"),
        (["a", "b"], OrdinalConfig(order=("a", "c")), "holds 'b', which the order lacks: a, c"),
        (["a", "a"], OrdinalConfig(order=("a", "c")), "1 of the classes"),
        (["a", "c"], OrdinalConfig(order=("a", "c", "a")), "names one twice"),
    ],
)
def test_targets_that_cannot_be(values: list[object], config: OrdinalConfig, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Ordinal(config).fit(values, column="grade")


def test_training_starts_from_the_prior() -> None:
    model = head()
    torch.nn.init.zeros_(model.readout.position.linear.weight)
    assert np.exp(model(tokens()).values.detach().numpy()[0]) == pytest.approx(statistics()["prior"], rel=1e-3)


@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0])
def test_scores_are_differences_of_sigmoids(scale: float) -> None:
    model = head()
    batch = tokens(scale=scale)
    with torch.no_grad():
        found = model(batch).values.double()
        readout = model.readout
        position = readout.position.linear(batch[""].values[:, 0]).double()
        gaps = torch.nn.functional.softplus(readout.steps.double()) + 1e-3
        thresholds = torch.cat([readout.first.double(), readout.first.double() + gaps.cumsum(0)])
        at_most = torch.cat([torch.sigmoid(thresholds - position), torch.ones(5, 1)], dim=1)
    share = at_most.diff(dim=1, prepend=torch.zeros(5, 1))
    assert (gaps > 0).all()
    np.testing.assert_allclose(found.exp(), share, rtol=1e-3, atol=1e-6)
    assert torch.isfinite(found).all()


def test_the_loss_is_that_of_the_true_class() -> None:
    shares = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25] * 4])
    task = fitted()
    target = task.collate([task.encode("good"), task.encode(None)])
    loss = head().loss(scores(shares.log()), target)
    assert loss.tolist() == pytest.approx([-math.log(0.3), 0])


def test_rows_with_nothing_get_the_shares_of_the_training_rows() -> None:
    with torch.no_grad():
        found = fitted().decode(head().predict({"": Tokens(torch.randn(1, 1, 4), torch.tensor([[False]]))}))
    assert [found[f"p_{name}"][0] for name in ORDER.order] == pytest.approx(statistics()["prior"])
    assert found["prediction"].tolist() == ["good"]


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_probabilities_are_stable_and_add_up_to_one(scale: float) -> None:
    values = scale * torch.randn(6, 4)
    found, task = scores(values), fitted()
    exact = values.double().softmax(dim=1).numpy()
    np.testing.assert_allclose(task.probabilities(found), exact, atol=1e-12)
    decoded = task.decode(found)
    np.testing.assert_allclose(np.stack([decoded[f"p_{name}"] for name in ORDER.order], axis=1), exact, atol=1e-12)
    assert decoded["prediction"].tolist() == [ORDER.order[place] for place in values.argmax(dim=1)]


def test_log_loss_is_the_mean_over_known_rows() -> None:
    shares = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25] * 4], dtype=torch.float64)
    task = fitted()
    target = task.collate([task.encode("good"), task.encode("poor")])
    expected = -(math.log(0.3) + math.log(0.25)) / 2
    assert task.log_loss(scores(shares.log()), target) == pytest.approx(expected)
    assert RowStatistics.of(task, scores(shares.log()), target).values()["log_loss"] == pytest.approx(expected)


def test_it_learns_an_order() -> None:
    torch.manual_seed(0)
    batch = {"": Tokens.vector(torch.linspace(-3, 3, 90).unsqueeze(1))}
    values = [1] * 30 + [2] * 30 + [3] * 30
    config = OrdinalConfig(dropout=0.0)
    task = Ordinal(config, Ordinal(config).fit(values, column="stars"))
    model = task.head({"": 1})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    target = task.collate([task.encode(value) for value in values])
    for _ in range(150):
        optimizer.zero_grad()
        model.loss(model(batch), target).mean().backward()
        optimizer.step()
    with torch.no_grad():
        metrics = RowStatistics.of(task, model.predict(batch), target).values()
    assert metrics["accuracy"] > 0.95
    assert metrics["quadratic_weighted_kappa"] > 0.95
    assert set(metrics) == set(Ordinal.greater_is_better)
