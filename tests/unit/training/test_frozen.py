from dataclasses import replace

import numpy as np
import pytest
import torch
from toys import Arrays, Flat, Through, assemble, coefficients_of, make_head, make_plan

from polymodal.models.model import Model
from polymodal.schema import Column
from polymodal.training.frozen import encode_frozen
from polymodal.training.loop import fit
from polymodal.training.objective import Objective

CPU = torch.device("cpu")
COLUMNS = [Column(name=name, kind="vector", modality="vector", reason="") for name in ("x", "z")]
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
    return assemble(encoders, {"frozen": ("x",), "learning": ("z",)}, Flat(4), make_head(4))


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
    model = assemble({"x": Through()}, {"x": ("x",)}, Flat(3), make_head(3))
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

    def weights(loader: Arrays) -> np.ndarray:
        for parameter in model.head.parameters():
            torch.nn.init.zeros_(parameter)
        fit(Objective(model), loader, None, plan=make_plan(epochs=3, lr=0.01))
        return coefficients_of(model)

    from_cells = weights(Arrays(columns, target, sizes=(3,)))
    calls = model.encoders["frozen"].calls
    from_tokens = weights(Encoded(columns, target, sizes=(3,)))
    assert model.encoders["frozen"].calls == calls
    assert np.array_equal(from_tokens, from_cells)
    assert np.abs(from_cells).min() > 0


def test_kept_tokens_are_taken_instead_of_made_again(model, tmp_path):
    loader = Trimmed({"x": X, "z": np.ones((4, 1))}, sizes=(2,), first_row=1)
    made = encode_frozen(model, loader, CPU, cache=tmp_path, columns=COLUMNS)["frozen"]
    calls = model.encoders["frozen"].calls
    taken = encode_frozen(model, loader, CPU, cache=tmp_path, columns=COLUMNS)["frozen"]
    assert calls > 0 and model.encoders["frozen"].calls == calls
    assert torch.equal(taken.values, made.values) and torch.equal(taken.mask, made.mask)
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]


class Settled(Through):
    """With a setting."""

    setting = 1

    @property
    def portable(self):
        return {"setting": self.setting}


@pytest.mark.parametrize("what", ["cells", "lengths", "rows", "weights", "settings", "class", "read", "learned"])
def test_whatever_tokens_depend_on_decides_whether_they_are_taken(tmp_path, what):
    cells = X.copy()
    encoder = Settled(frozen=True)

    def encode(encoder, cells, first_row=0, columns=COLUMNS):
        model = assemble({"x": encoder}, {"x": ("x",)}, Flat(3), make_head(3))
        encode_frozen(
            model, Arrays({"x": cells}, sizes=(2,), first_row=first_row), CPU, cache=tmp_path, columns=columns
        )
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
    changes = {"read": {"settings": {"size": 32}}, "learned": {"statistics": {"words": ["a"]}}}
    columns = [column.model_copy(update=changes.get(what, {})) for column in COLUMNS]
    assert encode(encoder, cells, first_row=int(what == "rows"), columns=columns) == 2


def test_cells_are_collated_once_to_make_tokens_and_not_at_all_to_take_them(model, tmp_path):
    loader = Arrays({"x": X, "z": np.ones((4, 1))}, sizes=(2,))
    encode_frozen(model, loader, CPU, cache=tmp_path, columns=COLUMNS)
    assert loader.epochs == [0]
    encode_frozen(model, loader, CPU, cache=tmp_path, columns=COLUMNS)
    assert loader.epochs == [0]


def test_a_column_of_another_name_is_the_same_column(tmp_path):
    encoder = Through(frozen=True)
    for name in ("x", "y"):
        model = assemble({name: encoder}, {name: (name,)}, Flat(3), make_head(3))
        column = COLUMNS[0].model_copy(update={"name": name, "reason": name})
        encode_frozen(model, Arrays({name: X}), CPU, cache=tmp_path, columns=[column])
    assert len(list(tmp_path.iterdir())) == 1


def test_damaged_kept_tokens_are_made_again(model, tmp_path):
    loader = Arrays({"x": X, "z": np.ones((4, 1))}, sizes=(2,))
    made = encode_frozen(model, loader, CPU, cache=tmp_path, columns=COLUMNS)["frozen"]
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:50])
    again = encode_frozen(model, loader, CPU, cache=tmp_path, columns=COLUMNS)["frozen"]
    assert torch.equal(again.values, made.values)
    assert len(file.read_bytes()) > 50
