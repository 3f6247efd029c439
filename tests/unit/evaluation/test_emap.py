"""The additive projection: the model itself where it is additive, a constant where it is all interaction."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from polymodal.config.run_config import make
from polymodal.data.cells.dataset import Dataset
from polymodal.data.cells.prepare import modality_of, prepare
from polymodal.data.tables.table import read_table
from polymodal.evaluation import emap
from polymodal.evaluation.emap import additive_projection, project
from polymodal.inference.forward import loader_for
from polymodal.inference.predictor import predict
from polymodal.pipeline.run import train
from polymodal.types import Scores, Tokens

ROWS = 30


def combining(function):
    """Scores from the first token of each input, by a function; an absent one is zero."""

    def combine(tokens):
        vectors = [torch.where(one.present[:, None], one.values[:, 0], 0.0) for one in tokens.values()]
        return Scores(function(*vectors), torch.stack([one.present for one in tokens.values()]).any(dim=0))

    return combine


def drawn(count, *, rows=ROWS, width=3):
    torch.manual_seed(0)
    tokens = {f"input {k}": torch.randn(rows, 2, width, dtype=torch.float64) for k in range(count)}
    return {name: Tokens(values, torch.rand(rows, 1).expand(-1, 2) > 0.1) for name, values in tokens.items()}


def mixed(*vectors):
    """Additive terms and interactions of every order."""
    product = torch.stack(vectors).prod(dim=0)
    return sum(vectors) ** 2 + product + torch.sin(vectors[0] * vectors[-1])


def brute_force(function, tokens, background):
    """The definition, one evaluation at a time, in float64 NumPy."""
    cells = {name: np.where(t.present[:, None], t.values[:, 0], 0.0) for name, t in tokens.items()}

    def score(rows):
        return function(*(torch.tensor(cells[name][rows[name]])[None] for name in cells)).numpy()[0]

    given = {
        name: np.array([
            np.mean([score({other: i if other == name else j for other in cells}) for j in background], axis=0)
            for i in range(ROWS)
        ])
        for name in cells
    }  # fmt: skip
    mean = np.mean([given[name][i] for name, i in itertools.product(cells, background)], axis=0)
    return sum(given.values()) - (len(cells) - 1) * mean


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("background", [None, 7])
def test_of_an_additive_model_it_is_the_model(count, background):
    combine, tokens = (
        combining(lambda *vectors: sum((k + 1) * torch.exp(v) for k, v in enumerate(vectors))),
        drawn(count),
    )
    found = additive_projection(combine, tokens, background)
    torch.testing.assert_close(found, combine(tokens).values, rtol=1e-10, atol=1e-10)


def test_of_exclusive_or_it_is_a_constant():
    first, second = torch.tensor([-1.0, -1.0, 1.0, 1.0]), torch.tensor([-1.0, 1.0, -1.0, 1.0])
    tokens = {name: Tokens.vector(bits[:, None].repeat(5, 1)) for name, bits in (("a", first), ("b", second))}
    combine = combining(lambda a, b: 4 * a * b + 2)
    assert len(combine(tokens).values.unique()) == 2
    assert torch.equal(additive_projection(combine, tokens), torch.full((20, 1), 2.0, dtype=torch.float64))


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("background", [None, 10])
def test_it_is_the_definition(count, background, monkeypatch):
    tokens = drawn(count)
    rows = range(ROWS) if background is None else range(0, ROWS, 3)
    expected = brute_force(mixed, tokens, rows)
    monkeypatch.setattr(emap, "_MOST_PAIRS", 64)  # in several batches
    found = additive_projection(combining(mixed), tokens, background)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-10, atol=1e-10)
    assert not np.allclose(found.numpy(), combining(mixed)(tokens).values.numpy(), atol=0.1)


def test_of_two_inputs_it_is_algorithm_1():
    """f'(i) = mean_j f(a_i, b_j) + mean_j f(a_j, b_i) - mean_jk f(a_j, b_k), equation 3."""
    tokens = drawn(2)
    a, b = (torch.where(one.present[:, None], one.values[:, 0], 0.0) for one in tokens.values())
    every = mixed(a[:, None].expand(-1, ROWS, -1), b[None].expand(ROWS, -1, -1))
    expected = every.mean(dim=1) + every.mean(dim=0) - every.mean(dim=(0, 1))
    torch.testing.assert_close(additive_projection(combining(mixed), tokens), expected)


@pytest.fixture(scope="module")
def trained():
    rng = np.random.default_rng(0)
    table = {
        "first": rng.normal(size=(60, 2)).tolist(),
        "second": rng.normal(size=(60, 2)).tolist(),
        "label": rng.permutation(["a", "b", "c"] * 20).tolist(),
    }
    config = {
        "target": "label",
        "columns": {name: {"modality": "vector"} for name in ("first", "second")},
        "encoders": {"vector": {"name": "mlp", "width": 4}},
        "fusion": {"name": "product", "width": 4},
        "inputs": {"keep": "all"},
        "train": {"epochs": 2, "final": "best"},
    }
    bundle = train(table, make(config)).bundle
    table = read_table(table)
    columns = bundle.schema.features()
    prepared = prepare(table, columns, limits=bundle.config.limits, bad_cells="missing")
    return bundle, table, Dataset(prepared, {column.name: modality_of(column) for column in columns})


def projected(trained, **how):
    bundle, _, dataset = trained
    loader = loader_for(bundle.model, dataset, np.arange(60), batch_size=16)
    return project(bundle.model, loader, torch.device("cpu"), **{"attends": False, **how})


def test_a_trained_model_is_beside_its_projection(trained):
    found = projected(trained)
    expected = predict(trained[0], trained[1]).prediction
    torch.testing.assert_close(found.model.values, expected.values)
    assert found.places.tolist() == list(range(60))
    assert not torch.allclose(found.additive.values, found.model.values, atol=1e-4)


def test_large_tokens_have_fewer_rows_and_those_that_cannot_be_afforded_none(trained, monkeypatch):
    model = trained[0].model
    widths = [encoder.width for encoder in model.encoders.values()]
    features = [len(reader.centre) for reader in model.features.readers.values()]
    numbers = 2 * sum(widths + features)
    monkeypatch.setattr(emap, "_WORK_OF_ATTENTION", numbers * 20 * 30)
    found = projected(trained, attends=True)
    assert len(found.places) == len(found.model.values) == len(found.additive.values) == 30
    assert len(set(found.places.tolist())) == 30 and int(found.places.max()) >= 57
    monkeypatch.setattr(emap, "_WORK_OF_ATTENTION", numbers * 20 * 10)
    assert projected(trained, attends=True) is None
