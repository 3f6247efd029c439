"""Every fusion at every time: it trains, is saved, and predicts the same; or says why it makes no sense."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from stage_tables import EMPTY, TABLE, run

from polymodal import registry
from polymodal.bundles import bundle
from polymodal.config.run_config import make
from polymodal.errors import ConfigError
from polymodal.inference.predictor import predict
from polymodal.pipeline.run import train

STAGES = registry.names("stages")
FUSIONS = registry.names("fusions")
TOKENS = ("attention", "bottleneck", "cross_attention")
FREE = ("average", "concat", "max", "product", "sum")
WHY = {
    "late": ("no tokens to attend to", TOKENS),
    "fuse_then_train": ("has weights to learn", tuple(set(FUSIONS) - set(FREE))),
}
SMALL = {
    "attention": {"width": 8, "heads": 2, "hidden": 8, "layers": 1},
    "bottleneck": {"width": 8, "heads": 2},
    "cross_attention": {"width": 8, "heads": 2},
}


def test_the_five_stages_are_there():
    assert STAGES == ("deep_ensemble", "early", "fuse_then_train", "intermediate", "late")


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_pair_trains_or_says_why_not(monkeypatch, stage, fusion):
    part = {"name": fusion, **SMALL.get(fusion, {"width": 4})}
    why, senseless = WHY.get(stage, ("", ()))
    if fusion in senseless:
        monkeypatch.setattr("polymodal.pipeline.problem.prepare", lambda *_, **__: pytest.fail("read the cells"))
        with pytest.raises(ConfigError, match=f"stage '{stage}' with fusion '{fusion}'.*{why}.* Use "):
            run(stage=stage, fusion=part)
        return
    quick = {"name": "late", "folds": 0} if stage == "late" else stage
    trained = run(stage=quick, fusion=part, train={"epochs": 1, "final": "best"}).bundle
    assert np.isfinite(trained.metrics.test["log_loss"].value)
    nothing = predict(trained, EMPTY)
    assert nothing.status == ["prior: no input present"]
    np.testing.assert_allclose(torch.softmax(nothing.prediction.values, 1)[0], trained.task.prior.exp())


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("task", ["one against the rest", "regress", "regress several", "tag", "ordinal"])
def test_every_task_is_learned_at_every_time(stage, task):
    trained = run(task, stage=stage, fusion={"name": "average", "width": 4}).bundle
    again = bundle.from_bytes(bundle.to_bytes(trained))
    found, before = (predict(of_bundle, TABLE).prediction.values.numpy() for of_bundle in (again, trained))
    np.testing.assert_allclose(found, before, atol=1e-6)
    assert np.isfinite(found).all()
    assert predict(again, EMPTY).status == ["prior: no input present"]


@pytest.mark.parametrize("stage", STAGES)
def test_the_configuration_that_a_run_writes_repeats_it(stage):
    first = run(stage=stage, fusion={"name": "concat"}, train={"epochs": 2}).bundle
    again = train(TABLE, make(first.config.model_dump(mode="json"))).bundle
    assert again.config == first.config
    for key, value in first.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key]), key
