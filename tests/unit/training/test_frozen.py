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


def test_kept_tokens_are_taken_instead_of_made_again(model, tmp_path):
    loader = Trimmed({"x": X, "z": np.ones((4, 1))}, sizes=(2,), first_row=1)
    made = encode_frozen(model, loader, CPU, cache=tmp_path)["frozen"]
    calls = model.encoders["frozen"].calls
    taken = encode_frozen(model, loader, CPU, cache=tmp_path)["frozen"]
    assert calls > 0 and model.encoders["frozen"].calls == calls
    assert torch.equal(taken.values, made.values) and torch.equal(taken.mask, made.mask)
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]


class Settled(Through):
    """With a setting."""

    setting = 1

    @property
    def portable(self):
        return {"setting": self.setting}


@pytest.mark.parametrize("what", ["cells", "lengths", "rows", "weights", "settings", "class"])
def test_whatever_tokens_depend_on_decides_whether_they_are_taken(tmp_path, what):
    cells = X.copy()
    encoder = Settled(frozen=True)

    def encode(encoder, cells, first_row=0):
        model = Model({"x": encoder}, {"x": ("x",)}, Flat(3), Squares(3))
        encode_frozen(model, Arrays({"x": cells}, sizes=(2,), first_row=first_row), CPU, cache=tmp_path)
        return len(list(tmp_path.iterdir()))

    assert encode(encoder, cells) == 1
    if what == "cells":
        cells[0, 0] = 7.0
    elif what == "lengths":
        cells[0, 2] = np.nan
    elif what == "weights":
        encoder.scale.data *= 2
    elif what == "settings":
        encoder.setting = 2
    elif what == "class":
        encoder = Through(frozen=True)
    assert encode(encoder, cells, first_row=int(what == "rows")) == 2


def test_fault_31_damaged_kept_tokens_are_made_again(model, tmp_path):
    loader = Arrays({"x": X, "z": np.ones((4, 1))}, sizes=(2,))
    made = encode_frozen(model, loader, CPU, cache=tmp_path)["frozen"]
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:50])
    again = encode_frozen(model, loader, CPU, cache=tmp_path)["frozen"]
    assert torch.equal(again.values, made.values)
    assert len(file.read_bytes()) > 50
