import math

import numpy as np
import pytest
import torch

from polymodal.errors import DataError
from polymodal.tasks.ordinal import Ordinal, OrdinalConfig
from polymodal.types import Head, Prediction, Tokens

GRADES = ["poor", "good", "fair", "good"] * 3
ORDER = OrdinalConfig(order=("poor", "fair", "good", "superb"))


def statistics() -> dict:
    return Ordinal.fit_target([*GRADES, None], column="grade", config=ORDER)


def head() -> Ordinal:
    torch.manual_seed(0)
    return Ordinal(ORDER, width=4, statistics=statistics()).eval()


def tokens(rows: int = 5, scale: float = 1.0) -> Tokens:
    return Tokens.vector(scale * torch.randn(rows, 4))


def test_is_a_head() -> None:
    assert isinstance(head(), Head)


def test_values_alone_never_choose_it() -> None:
    assert Ordinal.recognise([1, 2, 3]) is None


def test_the_order_is_the_users() -> None:
    found = statistics()
    assert (found["classes"], found["counts"]) == (["poor", "fair", "good", "superb"], [3, 3, 6, 0])
    assert found["prior"] == pytest.approx([3.25 / 13, 3.25 / 13, 6.25 / 13, 0.25 / 13])
    encoded = Ordinal.encode_target(["good", None, "awful", "poor"], found)
    np.testing.assert_array_equal(encoded, [2, math.nan, math.nan, 0])


@pytest.mark.parametrize("values", [[10, 9, 2, 10], ["10", "9", "2", "10"], [10.0, 9, 2.0, 10]])
def test_numbers_have_an_order_of_their_own(values: list[object]) -> None:
    found = Ordinal.fit_target(values, column="stars")
    assert found["classes"] == ["2", "9", "10"]
    assert Ordinal.encode_target([10, "9", 2.0, "10.0"], found).tolist() == [2, 1, 0, 2]
    decoded = Ordinal(OrdinalConfig(), width=2, statistics=found).decode(np.eye(3, dtype=np.float32))
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
def test_fault_17_targets_that_cannot_be(values: list[object], config: OrdinalConfig, words: str) -> None:
    with pytest.raises(DataError, match=words):
        Ordinal.fit_target(values, column="grade", config=config)


def test_training_starts_from_the_prior() -> None:
    model = head()
    torch.nn.init.zeros_(model.readout.position.linear.weight)
    assert np.exp(model(tokens()).scores.detach().numpy()[0]) == pytest.approx(statistics()["prior"], rel=1e-3)


@pytest.mark.parametrize("scale", [0.1, 1.0, 100.0])
def test_scores_are_differences_of_sigmoids(scale: float) -> None:
    model = head()
    batch = tokens(scale=scale)
    with torch.no_grad():
        scores = model(batch).scores.double()
        readout = model.readout
        position = readout.position.linear(batch.values[:, 0]).double()
        gaps = torch.nn.functional.softplus(readout.steps.double()) + 1e-3
        thresholds = torch.cat([readout.first.double(), readout.first.double() + gaps.cumsum(0)])
        at_most = torch.cat([torch.sigmoid(thresholds - position), torch.ones(5, 1)], dim=1)
    share = at_most.diff(dim=1, prepend=torch.zeros(5, 1))
    assert (gaps > 0).all()
    np.testing.assert_allclose(scores.exp(), share, rtol=1e-3, atol=1e-6)
    assert torch.isfinite(scores).all()


def test_the_loss_is_that_of_the_true_class() -> None:
    shares = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.25] * 4])
    loss = head().loss(Prediction(shares.log(), torch.ones(2, dtype=torch.bool)), torch.tensor([2.0, math.nan]))
    assert loss.tolist() == pytest.approx([-math.log(0.3), 0])


def test_rows_with_nothing_get_the_shares_of_the_training_rows() -> None:
    model = head()
    scores = model(Tokens(torch.randn(1, 1, 4), torch.tensor([[False]]))).scores.detach().numpy()
    found = model.decode(scores)
    assert [found[f"p_{name}"][0] for name in ORDER.order] == pytest.approx(statistics()["prior"])
    assert found["prediction"].tolist() == ["good"]


def test_it_learns_an_order() -> None:
    torch.manual_seed(0)
    x = torch.linspace(-3, 3, 90).unsqueeze(1)
    values = [1] * 30 + [2] * 30 + [3] * 30
    found = Ordinal.fit_target(values, column="stars")
    model = Ordinal(OrdinalConfig(dropout=0.0), width=1, statistics=found)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    target = torch.from_numpy(Ordinal.encode_target(values, found)).float()
    for _ in range(150):
        optimizer.zero_grad()
        prediction = model(Tokens.vector(x))
        model.loss(prediction, target).mean().backward()
        optimizer.step()
    metrics = model.metrics(prediction.scores.detach().numpy(), target.numpy())
    assert metrics["accuracy"] > 0.95
    assert metrics["quadratic_weighted_kappa"] > 0.95
