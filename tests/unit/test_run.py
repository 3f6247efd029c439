"""The way of the data where no other test of it looks: sample weights, and the configuration that is written back."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polymodal.config import RunConfig, make
from polymodal.errors import DataError
from polymodal.run import train

ROWS = 24
SIDES = ["train"] * 12 + ["validation"] * 6 + ["test"] * 6
TABLE = {
    "size": np.random.default_rng(0).normal(size=ROWS).tolist(),
    "label": ["a", "b"] * (ROWS // 2),
    "side": SIDES,
}
SMALL = {
    "target": "label",
    "split": {"column": "side"},
    "encoders": {"table": {"width": 4}},
    "fusion": {"name": "concat", "width": 4},
    "train": {"epochs": 1},
}


def run(table: dict[str, list], **config):
    return train(table, make(SMALL | config))


def weights(on_train: float | None, elsewhere: float = 1.0) -> list:
    return [on_train if side == "train" else elsewhere for side in SIDES]


def test_weights_that_are_all_zero_among_the_training_rows_are_refused():
    with pytest.raises(DataError, match="column 'w': the sample weights of all 12 training rows are 0"):
        run(TABLE | {"w": weights(0.0)}, weight="w")


def test_one_training_row_that_counts_is_enough():
    bundle = run(TABLE | {"w": [1.0] + [0.0] * (ROWS - 1)}, weight="w").bundle
    assert all(torch.isfinite(value).all() for value in bundle.model.state_dict().values())


@pytest.mark.parametrize(
    ("cell", "found"), [(None, "the cell is empty"), (-1.0, "-1.0 is no sample weight"), (float("inf"), "inf is no")]
)
def test_a_cell_that_is_no_weight_is_named(cell, found):
    table = TABLE | {"w": [*weights(1.0)[:3], cell, *weights(1.0)[4:]]}
    with pytest.raises(DataError, match=f"row 3, column 'w': {found}.*numbers from 0 upwards"):
        run(table, weight="w")


@pytest.mark.parametrize("name", ["size", "table"])
def test_the_configuration_that_a_run_writes_repeats_it(name):
    table = {name: TABLE["size"], "label": TABLE["label"], "side": SIDES}
    first = train(table, make(SMALL)).bundle
    again = train(table, RunConfig.model_validate(first.config.model_dump(mode="json"))).bundle
    assert again.config == first.config
    assert (again.schema.inputs, again.schema.target) == (first.schema.inputs, first.schema.target)
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key])
