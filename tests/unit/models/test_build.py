"""From schema and configuration to the model they describe."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from polymodal.config.run_config import make
from polymodal.encoders.image.cnn import Cnn
from polymodal.encoders.table.mlp import Mlp
from polymodal.errors import ConfigError
from polymodal.fusions.sum import Sum
from polymodal.layers.scores_head import ScoresHead
from polymodal.models.build import build, task_of
from polymodal.models.ensemble import Ensemble
from polymodal.pipeline.trainer import make_objective
from polymodal.schema import Column, Input, Schema, Target
from polymodal.tasks.classify import Classify, ClassifyConfig

CLASSES = Classify(ClassifyConfig()).fit(["a", "b", "b", "c"], column="label")


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
    fusion = model.model.towers[""].fusion
    assert (type(fusion), fusion.width) == (Sum, 9)
    readout = model.head.readout
    assert (type(model.head), readout.linear.in_features, readout.linear.out_features) == (ScoresHead, 7, 3)


def test_the_task_of_a_target_is_fitted_and_has_its_settings():
    task = task_of(make_schema().target)
    assert (type(task), task.config.hidden, list(task.labels)) == (Classify, 7, ["a", "b", "c"])
    torch.testing.assert_close(task.prior.exp(), torch.tensor([0.25, 0.5, 0.25]))
    assert torch.equal(build(make_schema(), make_config()).head.prior, task.prior)


@pytest.mark.parametrize(("weight", "names"), [(0.5, ["photo.1", "table"]), (0.0, []), (None, [])])
def test_every_input_gets_a_head_of_its_own_where_it_has_a_loss_of_its_own(weight, names):
    config = make_config(auxiliary_loss=weight, modality_dropout=0.3)
    network = build(make_schema(), config)
    assert isinstance(network, Ensemble)
    assert list(network.heads) == names
    for name in names:
        assert next(network.heads[name].parameters()).shape[-1] == network.encoders[name].width
        assert torch.equal(network.heads[name].prior, network.head.prior)
    objective = make_objective(network, config.train, joint=True)
    assert (objective.auxiliary_loss, objective.modality_dropout) == (weight or 0.0, 0.3)
    assert make_objective(network, config.train, joint=False).modality_dropout == 0  # inputs that learn by themselves


MEMBERS = ("unimodal", "linear", "gradient_boosting")
HEADS, LINEAR = ("unimodal:photo.1", "unimodal:table"), ("linear:photo.1", "linear:table")


@pytest.mark.parametrize(
    ("members", "names"),
    [
        (MEMBERS, (*HEADS, *LINEAR, "gradient_boosting")),
        (("unimodal",), HEADS),
        (("gradient_boosting", "linear"), (*LINEAR, "gradient_boosting")),
        (("gradient_boosting",), ("gradient_boosting",)),
        ((), ()),
    ],
)
def test_an_ensemble_has_the_members_that_are_asked_for(members, names):
    network = build(make_schema(), make_config(auxiliary_loss=1.0, ensemble=members))
    assert network.names == ("joint", *names)
    assert list(network.heads) == ["photo.1", "table"]  # they learn beside the model, member or not


def test_kinds_of_members_begin_with_the_same_weight_but_trees_with_half():
    network = build(make_schema(), make_config(auxiliary_loss=1.0, ensemble=MEMBERS))
    found = dict(zip(network.names, network.weights.tolist(), strict=True))
    expected = {"joint": 2 / 7, **dict.fromkeys((*HEADS, *LINEAR), 1 / 7), "gradient_boosting": 1 / 7}
    assert found == pytest.approx(expected)


def test_the_head_of_the_only_input_says_what_the_model_says_and_is_no_member():
    schema = make_schema()
    one = schema.model_copy(update={"inputs": schema.inputs[1:]})
    network = build(one, make_config(auxiliary_loss=1.0, ensemble=MEMBERS))
    assert network.names == ("joint", "linear:table", "gradient_boosting")


@pytest.mark.parametrize(("num_classes", "takes"), [(50, True), (51, False)])
def test_of_very_many_classes_no_member_reads_handcrafted_features(num_classes, takes):
    classes = Classify(ClassifyConfig()).fit([f"class {n}" for n in range(num_classes)], column="label")
    schema = make_schema(target=Target(column="label", task="classify", statistics=classes))
    network = build(schema, make_config(auxiliary_loss=1.0, ensemble=MEMBERS))
    assert (network.features is not None) == takes
    assert network.names == ("joint", *HEADS, *((*LINEAR, "gradient_boosting") if takes else ()))


def test_learned_weights_of_unimodal_losses_belong_to_training_and_only_where_they_are_asked_for():
    found = {}
    for blend in ("mean", "learned"):
        config = make_config(auxiliary_loss=1.0, auxiliary_blend=blend)
        network = build(make_schema(), config)
        objective = make_objective(network, config.train, joint=True)
        found[blend] = set(objective.parameters()) - set(network.parameters())
    assert found["mean"] == set()
    (learned,) = found["learned"]
    assert learned.tolist() == [0.0, 0.0]


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
