"""Deep ensembles: several networks as one, each trained by itself from other random weights."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import numpy as np
import pytest
import torch
from stage_tables import EMPTY, TABLE, run, settings

from polymodal.bundles import bundle
from polymodal.config.run_config import make
from polymodal.errors import ConfigError
from polymodal.inference.predictor import predict
from polymodal.models.deep_ensemble import networks_of
from polymodal.models.ensemble import Ensemble
from polymodal.pipeline.run import Run, train
from polymodal.stages import deep_ensemble
from polymodal.types import Tokens
from polymodal.updating.update import update

NEW = {name: TABLE[name][:12] for name in ("size", "other", "words")}
PAIRS = {"name": "match", "sides": {"numbers": ["size", "other"], "words": ["words"]}}


@cache
def trained(task: str = "classify", final: str = "best") -> Run:
    return run(task, stage="deep_ensemble", train={"epochs": 2, "final": final})


def network_of(found: Run) -> Ensemble:
    assert isinstance(found.bundle.model, Ensemble)
    return found.bundle.model


def parameters(network: Ensemble) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def given_tokens(network: Ensemble, rows: int = 5) -> dict[str, Tokens]:
    """Random tokens as the encoders would give them; the last row has no `words`."""
    torch.manual_seed(0)
    widths = {name: encoder.width for name, encoder in network.encoders.items()}
    found = {name: Tokens.vector(torch.randn(rows, width)) for name, width in widths.items()}
    found["words"] = found["words"].where_present(torch.arange(rows) < rows - 1)
    return found


def test_the_first_network_is_the_one_that_the_stage_intermediate_trains():
    alone = run(stage="intermediate", train={"epochs": 2, "final": "best"}).bundle.model
    first, second, third = map(parameters, networks_of(network_of(trained())))
    expected = {name: value for name, value in parameters(alone).items() if name in first}
    assert first.keys() == expected.keys()
    assert all(torch.equal(first[name], expected[name]) for name in first)
    learned = [name for name in first if name.endswith("weight") and first[name].ndim > 1]
    assert learned and not any(torch.equal(first[n], second[n]) or torch.equal(second[n], third[n]) for n in learned)


@pytest.mark.parametrize("task", ["classify", "regress", "tag"])
def test_the_joint_and_unimodal_members_are_the_means_of_those_of_the_networks(task):
    network = deepcopy(network_of(trained(task)))
    tokens, networks = given_tokens(network), networks_of(network)
    cut = {name: one.values.chunk(3, dim=-1) for name, one in tokens.items()}
    apart = [{name: Tokens(cut[name][place], tokens[name].mask) for name in tokens} for place in range(3)]
    with torch.no_grad():
        network.features.fitted.fill_(False)  # these tokens bring no features
        found = network.members(tokens)
        of_each = [one.model.combine(given).values for one, given in zip(networks, apart, strict=True)]
        heads = [one.heads["table"]({"": given["table"]}).values for one, given in zip(networks, apart, strict=True)]
    assert not torch.allclose(of_each[0], of_each[1])
    for name, values in (("joint", of_each), ("unimodal:table", heads)):
        predicted = {"classify": torch.Tensor.exp, "tag": torch.sigmoid}.get(task, torch.clone)
        normalised = [one.log_softmax(dim=1) if task == "classify" else one for one in values]
        expected = torch.stack([predicted(one) for one in normalised]).mean(dim=0)
        torch.testing.assert_close(predicted(found[name].values), expected)


def test_models_of_handcrafted_features_are_fitted_once(monkeypatch):
    calls, fit = list[int](), deep_ensemble.fit_feature_members

    def counted(fitter, network, rows):
        calls.append(len(rows))
        fit(fitter, network, rows)

    monkeypatch.setattr(deep_ensemble, "fit_feature_members", counted)
    found = run(stage={"name": "deep_ensemble", "seeds": 2}, train={"epochs": 1, "final": "best"})
    assert calls == [32]
    members = ("joint", "unimodal:table", "unimodal:words", "linear:table", "linear:words", "gradient_boosting")
    assert sorted(found.bundle.metrics.ensemble) == sorted(members)
    assert len(networks_of(network_of(found))) == 2


def test_an_encoder_that_does_not_learn_is_shared():
    encoders = {"text": {"name": "handcrafted"}, "table": {"width": 8}}
    found = run(stage="deep_ensemble", encoders=encoders, train={"epochs": 1, "final": "best"})
    network = network_of(found)
    assert all(one.encoders["words"] is network.encoders["words"] for one in networks_of(network))
    again = bundle.from_bytes(bundle.to_bytes(found.bundle))
    np.testing.assert_array_equal(
        predict(again, NEW).prediction.values.numpy(), predict(found.bundle, NEW).prediction.values.numpy()
    )


def test_columns_that_share_an_encoder_share_that_of_each_network():
    table = {**TABLE, "more": TABLE["words"][::-1]}
    texts = {"words": {"modality": "text"}, "more": {"modality": "text"}}
    config = make(settings(stage="deep_ensemble", columns=texts, share=["text"], inputs={"keep": "all"}))
    network = train(table, config, baselines=False).bundle.model
    assert network.encoders["words"] is network.encoders["more"]
    assert all(one.encoders["words"] is one.encoders["more"] for one in networks_of(network))


def test_every_network_goes_on_from_its_own_best_weights_in_the_last_training():
    before, after = trained(), trained(final="refit")
    assert list(after.branches) == ["network 1", "network 2", "network 3"]
    for name, one in before.branches.items():
        assert after.branches[name].best_epoch == one.best_epoch
    assert after.refit is not None
    assert len(after.refit.epochs) == 3  # a quarter of two epochs, at least one, in each network
    for first, last in zip(*(map(parameters, networks_of(network_of(one))) for one in (before, after)), strict=True):
        assert not torch.equal(first["model.head.readout.linear.weight"], last["model.head.readout.linear.weight"])
        for name, weight in last.items():
            assert torch.allclose(first[name], weight, atol=0.1), name


class StopAt:
    """Presses Ctrl-C in one of several trainings."""

    def __init__(self, phase: str) -> None:
        self.stops = phase == "train:network 2"

    def on_epoch(self, record) -> None:
        if self.stops:
            raise KeyboardInterrupt

    def on_end(self, history) -> None:
        pass


def test_ctrl_c_leaves_networks_that_were_not_trained_out_of_the_mean():
    config = make(settings(stage="deep_ensemble", train={"epochs": 3}))
    stopped = train(TABLE, config, make_callbacks=lambda phase, *_: [StopAt(phase)], baselines=False)
    assert stopped.history.interrupted and stopped.refit is None
    network = network_of(stopped)
    assert network.head.readout.weights.tolist() == [0.5, 0.5, 0.0]
    before = predict(stopped.bundle, NEW).prediction.values
    with torch.no_grad():
        for parameter in networks_of(network)[2].parameters():
            parameter.add_(1.0)
    torch.testing.assert_close(predict(stopped.bundle, NEW).prediction.values, before)


def test_an_absent_input_is_left_to_the_others():
    found = trained().bundle
    without = predict(found, {**NEW, "words": [None] * 12}).prediction.values
    assert torch.isfinite(without).all() and not torch.allclose(without, predict(found, NEW).prediction.values)
    torch.testing.assert_close(predict(found, EMPTY).prediction.values[0], found.model.head.prior)


def test_an_update_moves_every_network():
    old, new = trained().bundle, update(trained().bundle, TABLE)
    pairs = zip(*(networks_of(one.model) for one in (old, new.bundle)), strict=True)
    for before, after in (map(parameters, pair) for pair in pairs):
        assert not torch.equal(before["model.head.readout.linear.weight"], after["model.head.readout.linear.weight"])
    assert torch.isfinite(predict(new.bundle, NEW).prediction.values).all()


@pytest.mark.parametrize(("old", "new"), [("intermediate", "deep_ensemble"), ("deep_ensemble", "intermediate")])
def test_a_warm_start_from_the_other_stage_gives_every_network_an_encoder(tmp_path, old, new):
    first = trained() if old == "deep_ensemble" else run(stage=old, train={"epochs": 1, "final": "best"})
    bundle.save(first.bundle, tmp_path / "old")
    config = settings(stage=new, warm_start=str(tmp_path / "old"), columns={}, encoders={})
    config["train"] = {"epochs": 1, "final": "best", "optimizer": {"lr": 1e-12}}
    network = train(TABLE, make(config), baselines=False).bundle.model
    expected = first.bundle.model if old == "intermediate" else networks_of(first.bundle.model)[0]
    for one in networks_of(network) if new == "deep_ensemble" else [network]:
        for name, tensor in one.encoders["words"].state_dict().items():
            torch.testing.assert_close(tensor, expected.encoders["words"].state_dict()[name], atol=1e-6, rtol=0)


def test_a_warm_start_without_learning_encoders_makes_no_sense(tmp_path):
    bundle.save(run(stage="intermediate", train={"epochs": 1, "final": "best"}).bundle, tmp_path / "old")
    start = {"bundle": str(tmp_path / "old"), "freeze": True}
    with pytest.raises(ConfigError, match=r"all networks would have the same encoders.*stage intermediate"):
        run(stage="deep_ensemble", warm_start=start, columns={}, encoders={})


def test_predictions_that_are_no_scores_have_no_mean(monkeypatch):
    monkeypatch.setattr("polymodal.pipeline.problem.prepare", lambda *_, **__: pytest.fail("read the cells"))
    config = settings(stage="deep_ensemble") | {"task": PAIRS, "target": None}
    with pytest.raises(ConfigError, match=r"averages scores.*no scores\. Use stage intermediate"):
        train(TABLE, make(config | {"drop": ["label", "amount", "grade", "tags"]}))


@pytest.mark.parametrize("wrong", [1, 0, "many"])
def test_one_network_is_no_ensemble(wrong):
    with pytest.raises(ConfigError, match=r"'deep_ensemble'.*seeds"):
        run(stage={"name": "deep_ensemble", "seeds": wrong})
