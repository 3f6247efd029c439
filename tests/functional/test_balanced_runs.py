"""Whole runs with everything that balances and regularises."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from polymodal.bundles.bundle import load, save
from polymodal.config.run_config import make
from polymodal.errors import ConfigError
from polymodal.pipeline.run import train
from polymodal.training.callbacks import JsonLog

RNG = np.random.default_rng(0)
ROWS = 60
LABELS = RNG.integers(0, 2, ROWS)
TABLE = {
    "review": [None if k % 7 == 0 else f"{'good fine' if y else 'bad poor'} film {k}" for k, y in enumerate(LABELS)],
    "size": [None if k % 5 == 0 else float(y + RNG.normal()) for k, y in enumerate(LABELS)],
    "weight": RNG.uniform(0.5, 2, ROWS).tolist(),
    "label": [("no", "yes")[y] for y in LABELS],
    "price": (LABELS * 2.0 + RNG.normal(size=ROWS)).tolist(),
}
EVERYTHING = {
    "epochs": 3, "accumulate": 2, "balance": {"name": "ogm_ge", "start": 2}, "auxiliary_blend": "learned",
    "modality_dropout_schedule": {"name": "linear"}, "mixup": {"alpha": 0.4}, "ema": 0.9, "max_norm": 2.0,
    "orthogonality": 1e-4,
}  # fmt: skip


def settings(target: str, **more) -> dict:
    other = "price" if target == "label" else "label"
    return {
        "target": target, "drop": [other], "weight": "weight", "fusion": {"name": "concat", "width": 8},
        "columns": {"review": {"modality": "text"}}, "encoders": {"text": {"name": "transformer", "width": 8,
        "heads": 2, "hidden": 8, "drop_path": 0.2}}, "train": EVERYTHING, **more,
    }  # fmt: skip


@pytest.mark.parametrize("target", ["label", "price"])
def test_a_run_with_everything_is_kept_whole_in_its_bundle_and_repeats(target, tmp_path):
    config = make(settings(target))
    log = tmp_path / "log.jsonl"
    run = train(TABLE, config, make_callbacks=lambda phase, *_: [JsonLog(log, phase=phase, append=phase != "train")])
    assert '"contribution": {"review": 0.' in log.read_text()
    shares = [record.contribution for record in run.history.epochs]
    assert all(set(share) == {"review", "table"} for share in shares)
    assert all(sum(share.values()) == pytest.approx(1, abs=1e-5) for share in shares)
    save(run.bundle, tmp_path / "bundle")
    state, saved = run.bundle.model.state_dict(), load(tmp_path / "bundle").model.state_dict()
    assert saved.keys() == state.keys() >= {"weights", "calibrator.value"}
    assert not any("log_variance" in name for name in saved)  # how losses were blended is training's alone
    assert all(torch.equal(saved[name], value) for name, value in state.items())
    again = train(TABLE, run.bundle.config)
    assert [record.loss for record in again.history.epochs] == [record.loss for record in run.history.epochs]


def test_words_that_are_to_be_mixed_end_the_run_with_a_reason():
    mixed = EVERYTHING | {"mixup": {"alpha": 0.4, "where": "inputs"}}
    with pytest.raises(ConfigError, match=r"column 'review' holds words.*train.mixup.where=tokens"):
        train(TABLE, make(settings("label", train=mixed)))
