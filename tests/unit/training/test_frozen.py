from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import Arrays, Flat, Squares, Through, make_plan

from polymodal.model import Model
from polymodal.training.frozen import encode_frozen
from polymodal.training.loop import fit

CPU = torch.device("cpu")
X = np.array([[1.0, 2.0, 3.0], [4.0, np.nan, np.nan], [np.nan, np.nan, np.nan], [5.0, 6.0, np.nan]])


class Trimmed(Arrays):
    """As a real loader: each batch is as long as its longest row; rows come in another order."""

    def epoch(self, number):
        for batch in reversed(list(super().epoch(number))):
            cells = batch.cells["x"]
            longest = max(int(cells.lengths.max()), 1)
            yield replace(batch, cells={**batch.cells, "x": replace(cells, values=cells.values[:, :longest])})


@pytest.fixture
def model() -> Model:
    encoders = {"frozen": Through(frozen=True, dropout=0.5), "learning": Through()}
    return Model(encoders, {"frozen": ("x",), "learning": ("z",)}, Flat(4), Squares(4))


def test_tokens_stand_in_the_rows_of_the_table_padded_to_the_longest(model):
    loader = Trimmed({"x": X, "z": np.ones((4, 1))}, sizes=(2,), first_row=1)
    encoded = encode_frozen(model, loader, CPU)
    assert list(encoded) == ["frozen"]
    tokens = encoded["frozen"]
    assert tokens.values.shape == (5, 3, 1)  # row 0 is not in the loader
    assert tokens.mask.tolist() == [
        [False, False, False],
        [True, True, True],
        [True, False, False],
        [False, False, False],
        [True, True, False],
    ]
    assert tokens.values[tokens.mask].flatten().tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_without_a_frozen_encoder_nothing_is_read():
    model = Model({"x": Through()}, {"x": ("x",)}, Flat(3), Squares(3))
    loader = Arrays({"x": X})
    assert encode_frozen(model, loader, CPU) == {}
    assert loader.epochs == []


def test_training_on_the_tokens_is_training_on_the_cells(model):
    """And the tokens, made without gradients, can be trained on."""
    columns = {"x": X, "z": np.ones((4, 1))}
    target = np.array([1.0, 2.0, 3.0, 4.0])
    tokens = encode_frozen(model, Arrays(columns), CPU)["frozen"]

    class Encoded(Arrays):
        def epoch(self, number):
            for batch in super().epoch(number):
                part = replace(tokens, values=tokens.values[batch.rows], mask=tokens.mask[batch.rows])
                yield replace(batch, encoded={"frozen": part}, cells={"z": batch.cells["z"]})

    def weights(loader: Arrays) -> torch.Tensor:
        torch.nn.init.zeros_(model.head.linear.weight)
        torch.nn.init.zeros_(model.head.linear.bias)
        fit(model, loader, None, plan=make_plan(epochs=3, lr=0.01))
        return model.head.linear.weight.detach().clone()

    from_cells = weights(Arrays(columns, target, sizes=(3,)))
    calls = model.encoders["frozen"].calls
    from_tokens = weights(Encoded(columns, target, sizes=(3,)))
    assert model.encoders["frozen"].calls == calls
    torch.testing.assert_close(from_tokens, from_cells, atol=0, rtol=0)
    assert from_cells.abs().min() > 0
