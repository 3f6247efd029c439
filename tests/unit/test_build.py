"""From schema and configuration to the model they describe."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from polymodal.build import build
from polymodal.config import make
from polymodal.encoders.image.cnn import Cnn
from polymodal.encoders.table.mlp import Mlp
from polymodal.errors import ConfigError
from polymodal.fusions.sum import Sum
from polymodal.schema import Column, Input, Schema, Target
from polymodal.tasks.classify import Classify

CLASSES = Classify.fit_target(["a", "b", "b", "c"], column="label")


def column(name: str, modality: str, **values: Any) -> Column:
    return Column(name=name, kind=modality, modality=modality, reason="", **values)


COLUMNS = (
    column("size", "number", statistics={"centre": 1.0, "spread": 2.0}),
    column("colour", "category", statistics={"categories": ["red", "blue"]}),
    column("photo.1", "image", settings={"size": 16}),
    Column(name="id", kind="identifier", modality=None, reason="every cell differs"),
)


def make_schema(**values: Any) -> Schema:
    inputs = (
        Input(name="photo.1", columns=("photo.1",), modality="image", encoder="cnn",
              settings={"width": 6, "channels": 4, "blocks": 1}),
        Input(name="table", columns=("colour", "size"), modality="table", encoder="mlp", settings={"width": 5}),
    )  # fmt: skip
    target = Target(column="label", task="classify", settings={"hidden": 7}, statistics=CLASSES)
    return Schema(**{"columns": COLUMNS, "inputs": inputs, "target": target, **values})


def make_config(**train: Any):
    return make({"fusion": {"name": "sum", "width": 9}, "train": train})


def test_every_part_is_the_one_that_is_named_with_its_settings():
    model = build(make_schema(), make_config())
    encoders = dict(model.encoders.items())
    assert {name: (type(part), part.width) for name, part in encoders.items()} == {
        "photo.1": (Cnn, 6),
        "table": (Mlp, 5),
    }
    assert model.columns == {"photo.1": ("photo.1",), "table": ("colour", "size")}
    assert (type(model.fusion), model.fusion.width) == (Sum, 9)
    assert (type(model.head), model.head.config.hidden, model.head.readout.linear.out_features) == (Classify, 7, 3)


@pytest.mark.parametrize(("share", "names"), [(0.5, ["photo.1", "table"]), (0.0, []), (None, [])])
def test_every_input_gets_a_head_of_its_own_where_it_has_a_loss_of_its_own(share, names):
    model = build(make_schema(), make_config(auxiliary_loss=share, modality_dropout=0.3))
    assert model.modality_dropout == 0.3
    assert (model.auxiliary is None) == (not share)
    if model.auxiliary is not None:
        assert list(model.auxiliary.heads) == names
        assert model.auxiliary.loss_weight == share
    for name in names:
        assert next(model.auxiliary.heads[name].parameters()).shape[-1] == model.encoders[name].width


@pytest.mark.parametrize(("said", "vote"), [(None, 0.5), (0.75, 0.75), (0.0, 0.0)])
def test_inputs_have_a_say_in_predictions_unless_told_otherwise(said, vote):
    assert build(make_schema(), make_config(auxiliary_loss=1.0, auxiliary_vote=said)).auxiliary.vote == vote


def test_learned_weights_of_own_losses_are_part_of_the_model_only_where_they_are_asked_for():
    plain = build(make_schema(), make_config(auxiliary_loss=1.0))
    learned = build(make_schema(), make_config(auxiliary_loss=1.0, auxiliary_blend="learned"))
    assert learned.state_dict().keys() - plain.state_dict().keys() == {"auxiliary.blend.log_variance"}
    assert learned.auxiliary.blend.log_variance.tolist() == [0.0, 0.0]


def test_the_seed_decides_the_weights():
    weights = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        weights.append(torch.cat([p.flatten() for p in build(make_schema(), make_config()).parameters()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"target": None}, "names no target"),
        ({"inputs": (Input(name="photo.1", columns=("photo.1",), modality="image", encoder="cn"),)}, "'cnn'"),
        ({"target": Target(column="label", task="classify", settings={"hiden": 7}, statistics=CLASSES)}, "'hidden'"),
        ({"target": Target(column="label", task="clasify", statistics=CLASSES)}, "'classify'"),
    ],
)
def test_what_cannot_be_built_is_said(values, message):
    with pytest.raises(ConfigError, match=message):
        build(make_schema(**values), make_config())
