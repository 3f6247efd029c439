"""`polymodal train --from`: a run that starts from the bundle of another, and one that says why it cannot."""

from __future__ import annotations

import json

from cli_tables import SMALL

from polymodal.bundles import bundle


def test_a_run_starts_from_a_bundle(cli, table, run, tmp_path):
    settings = ["train.epochs=1", "train.final=best", "train.optimizer.lr=1.0e-12"]
    done = cli("train", table, "--target", "label", "--split", "side", "-o", tmp_path / "again",
               "--from", run / "bundle", settings=settings)  # fmt: skip
    assert (done.code, done.err) == (0, "")
    assert f"warm_start: taken from {run / 'bundle'}: the encoder of 'note'" in done.out
    assert "warm_start: fresh" not in done.out
    before, after = (bundle.load(folder / "bundle") for folder in (run, tmp_path / "again"))
    assert before.schema.inputs == after.schema.inputs
    assert before.model.state_dict().keys() == after.model.state_dict().keys()
    assert json.loads((tmp_path / "again/bundle/config.json").read_text())["warm_start"]["bundle"] is None
    assert f"bundle: {run / 'bundle'}" in (tmp_path / "again/run.yaml").read_text()


def test_what_cannot_be_started_from_is_said_and_nothing_is_written(cli, table, run, tmp_path):
    words = ("train", table, "--target", "label", "--split", "side", "-o", tmp_path / "again")
    done = cli(*words, "--from", run, settings=SMALL)
    assert done.code == 2
    assert f"{run} is not a bundle: it holds no manifest.json. Did you mean {run / 'bundle'}?" in done.err
    done = cli(*words, "--from", run / "bundle", settings=["encoders.text=rnn"])
    assert done.code == 2
    assert "warm_start: the encoder of 'note' is 'rnn' here, 'bag' in" in done.err
    assert not (tmp_path / "again/bundle").exists()
