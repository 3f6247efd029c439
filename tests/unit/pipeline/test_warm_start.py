"""Runs that start from a trained model: what they take, what they leave, and what they refuse."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from polymodal.bundles import bundle
from polymodal.bundles import files as bundle_files
from polymodal.config.run_config import make, override, read, write
from polymodal.errors import BundleError, ConfigError, DamagedBundleError
from polymodal.models.build import build
from polymodal.models.ensemble import Ensemble
from polymodal.pipeline.run import train
from polymodal.pipeline.warm_start import start_from
from polymodal.pretrained.adaptation import Train, adapt, blocks
from polymodal.types import Cells

RNG = np.random.default_rng(0)
ROWS = 24
SIDES = ["train"] * 12 + ["validation"] * 6 + ["test"] * 6
OLD = {
    "note": ["red cat", "blue dog", "red dog", "blue cat"] * 6,
    "photo": list(RNG.integers(0, 256, (ROWS, 16, 16, 3), dtype=np.uint8)),
    "size": RNG.normal(5, 2, ROWS).tolist(),
    "colour": ["r", "g", "b"] * 8,
    "label": ["a", "b"] * 12,
    "side": SIDES,
}
NEW = OLD | {
    "note": ["green fish", "red bird"] * 12,
    "size": RNG.normal(50, 9, ROWS).tolist(),
    "photo": OLD["photo"][::-1],
}
SMALL = {
    "target": "label",
    "split": {"column": "side"},
    "columns": {"note": {"modality": "text"}},
    "encoders": {"text": {"name": "bag", "width": 6}, "table": {"width": 5},
                 "image": {"width": 4, "channels": 4, "blocks": 1}},
    "fusion": {"width": 7},
    "train": {"epochs": 2},
}  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    return train(OLD, make(SMALL)).bundle


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("old") / "bundle"
    bundle.save(trained, path)
    return path


def start(folder: Path, table=NEW, *, there=None, final: str = "best", **values):
    """A run whose weights hardly move, so that where they come from can be seen."""
    return train(table, make({
        "target": "label", "split": {"column": "side"}, "warm_start": {"bundle": str(folder), "columns": there or {}},
        "train": {"epochs": 1, "final": final, "optimizer": {"lr": 1e-12}},
    } | values))  # fmt: skip


def near(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    pairs = zip(first.state_dict().values(), second.state_dict().values(), strict=True)
    return all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


def fusion_of(network: Ensemble) -> torch.nn.Module:
    return network.model.towers[""].fusion


def test_everything_is_taken_where_everything_fits(trained, folder):
    run = start(folder)
    old, new = trained.model, run.bundle.model
    for name in ("note", "photo", "table"):
        assert near(old.encoders[name], new.encoders[name])
        assert near(old.heads[name], new.heads[name])
    assert near(fusion_of(old), fusion_of(new))
    assert near(old.head, new.head)
    for column in ("note", "size", "colour"):
        now = run.bundle.schema.column(column).statistics
        assert now == {k: v for k, v in trained.schema.column(column).statistics.items() if k != "truncated"}
    words = "the encoder of 'note'; the encoder of 'photo'; the encoder of 'table'; the fusion; the head"
    assert f"warm_start: taken from {folder}: {words}" in run.notes
    assert not any("fresh" in note for note in run.notes)


def test_without_it_weights_are_random(trained):
    run = train(NEW, make(SMALL | {"train": {"epochs": 1, "optimizer": {"lr": 1e-12}}}))
    assert not near(trained.model.encoders["photo"], run.bundle.model.encoders["photo"])


def test_what_is_new_starts_at_random_and_is_told(trained, folder):
    table = {key: value for key, value in NEW.items() if key != "colour"} | {"label": ["x", "y", "z"] * 8}
    run = start(folder, table)
    assert near(trained.model.encoders["note"], run.bundle.model.encoders["note"])
    (fresh,) = [note for note in run.notes if note.startswith("warm_start: fresh")]
    assert fresh == ("warm_start: fresh: 'table', which is made of size here, of colour, size in the bundle; the "
                     "fusion; the head")  # fmt: skip
    assert run.bundle.schema.column("size").statistics["centre"] > 40  # learned from these rows


def test_other_classes_leave_only_the_head_behind(trained, folder):
    run = start(folder, NEW | {"label": ["x", "y", "z"] * 8})
    assert near(fusion_of(trained.model), fusion_of(run.bundle.model))
    assert "warm_start: fresh: the head" in run.notes


@pytest.mark.parametrize("other", [False, True])
def test_other_words_leave_the_decoder_behind(other, tmp_path):
    def told(first, second):
        return {"size": OLD["size"], "side": SIDES, "label": [f"{first} is {second}", f"{second} is {first}"] * 12}

    task = {"task": "generate", "fusion": {"name": "attention", "pool": "none", "width": 8, "heads": 1, "hidden": 8}}
    bundle.save(train(told("red", "big"), make({**SMALL, **task, "columns": {}})).bundle, tmp_path / "bundle")
    run = start(tmp_path / "bundle", told("low", "far") if other else told("red", "big"), task="generate")
    assert other == any("fresh: the head" in note for note in run.notes)


def test_columns_by_another_name(trained, folder):
    table = {{"note": "text", "photo": "picture"}.get(key, key): value for key, value in NEW.items()}
    run = start(folder, table, there={"text": "note", "picture": "photo"})
    assert near(trained.model.encoders["note"], run.bundle.model.encoders["text"])
    assert near(trained.model.encoders["photo"], run.bundle.model.encoders["picture"])
    assert "the encoder of 'picture', there 'photo'" in run.notes[-1] + run.notes[-2]
    assert "warm_start: fresh: the fusion; the head" in run.notes  # another order of inputs


def test_it_goes_on_learning_and_fits_better_than_from_scratch(folder):
    few = {"epochs": 1, "optimizer": {"lr": 1e-4}, "final": "best"}
    again = train(OLD, make({"target": "label", "split": {"column": "side"}, "warm_start": str(folder), "train": few}))
    fresh = train(OLD, make(SMALL | {"train": few}))
    assert again.history.epochs[0].loss < fresh.history.epochs[0].loss


def test_a_refit_starts_there_too(trained, folder):
    run = start(folder, final="refit")
    assert run.refit is not None
    assert near(fusion_of(trained.model), fusion_of(run.bundle.model))


def test_adapters_are_added_to_the_weights_that_were_taken(trained, folder):
    schema = trained.schema
    before, _, config = start_from(schema.columns, make(SMALL | {"warm_start": {"bundle": str(folder)}}))
    torch.manual_seed(5)
    network = build(schema, trained.config).eval()
    encoder = network.encoders["photo"]
    adapt(encoder, Train(name="lora", rank=2), who="it", layers=blocks)
    photo = Cells(torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8), torch.ones(3, dtype=torch.long))
    old = trained.model.encoders["photo"](photo).values
    assert not torch.allclose(encoder(photo).values, old)
    before.fill(network, schema, config)
    torch.testing.assert_close(encoder(photo).values, old)
    learned = [name for name, parameter in encoder.named_parameters() if parameter.requires_grad]
    assert learned and all("lora" in name for name in learned)


def test_frozen_encoders_stay_as_they_were_while_the_rest_learns(trained, folder):
    freeze = {"warm_start": {"bundle": str(folder), "freeze": True}}
    new = start(folder, train={"epochs": 2}, **freeze).bundle.model
    for name in ("note", "photo", "table"):
        for key, value in trained.model.encoders[name].state_dict().items():
            assert torch.equal(value, new.encoders[name].state_dict()[key])
    assert all(encoder.frozen for encoder in new.encoders.values())  # so that cells are encoded once
    assert not near(fusion_of(trained.model), fusion_of(new))


def test_settings_of_the_encoder_that_do_not_touch_weights_may_differ(trained, folder):
    run = start(folder, encoders={"text": {"dropout": 0.6}})
    assert near(trained.model.encoders["note"], run.bundle.model.encoders["note"])
    settings = {entry.name: entry.settings for entry in run.bundle.schema.inputs}
    assert (settings["note"]["dropout"], settings["note"]["width"]) == (0.6, 6)


def test_the_written_configuration_repeats_it_and_the_bundle_names_no_other(folder, tmp_path):
    first = start(folder)
    write(first.bundle.config, tmp_path / "run.yaml")
    again = train(NEW, read(tmp_path / "run.yaml"))
    for key, value in first.bundle.model.state_dict().items():
        assert torch.equal(value, again.bundle.model.state_dict()[key])
    bundle.save(first.bundle, tmp_path / "bundle")
    assert bundle.load(tmp_path / "bundle").config.warm_start.bundle is None


def test_encoders_are_shared_as_they_were(tmp_path):
    table = OLD | {"other": OLD["note"][::-1]}
    texts = {"columns": {name: {"modality": "text"} for name in ("note", "other")}}
    old = train(table, make(SMALL | texts | {"share": ["text"]})).bundle
    bundle.save(old, tmp_path / "bundle")
    new = start(tmp_path / "bundle", NEW | {"other": NEW["note"]}).bundle
    assert new.model.encoders["note"] is new.model.encoders["other"]
    assert near(old.model.encoders["note"], new.model.encoders["other"])


@pytest.mark.parametrize(
    ("values", "there", "words"),
    [
        ({"columns": {"note": {"modality": "category"}}}, {}, "column 'note' is category here, text in .*bundle"),
        ({"modalities": {"text": {"max_tokens": 3}}}, {}, "column 'note': max_tokens is 3 here, 2048 in"),
        ({"clean": {"missing": "mean"}}, {}, "column 'size': missing is 'mean' here, 'leave' in"),
        ({"encoders": {"text": "rnn"}}, {}, "encoder of 'note' is 'rnn' here, 'bag' in"),
        ({"encoders": {"text": {"width": 9}}}, {}, "input 'note'.*'embedding.weight' is 8001 x 9 here, 8001 x 6 there"),
        ({}, {"photo": "foto"}, "knows no column 'foto'. Did you mean 'photo'"),
        ({}, {"fotto": "photo"}, "column 'fotto' is not in the table. Did you mean 'photo'"),
        ({}, {"label": "photo"}, "column 'label' is not learned from"),
        ({"share": [["note", "more"]], "columns": {"more": {"modality": "text"}}, "encoders": {"text": {"width": 6}}},
         {}, "more, note share an encoder here"),
    ],
)  # fmt: skip
def test_what_contradicts_the_bundle_is_said_with_both_sides(folder, values, there, words):
    with pytest.raises(ConfigError, match=words):
        start(folder, NEW | ({"more": NEW["note"]} if "share" in values else {}), there=there, **values)


def test_a_table_that_has_nothing_in_common_is_refused(folder):
    with pytest.raises(ConfigError, match=r"no column of this table is in .*knows note, photo, size, colour"):
        start(folder, {"x": OLD["size"], "label": OLD["label"], "side": SIDES})


def test_without_a_bundle_columns_mean_nothing(folder):
    with pytest.raises(ConfigError, match=r"start\.bundle names none"):
        train(NEW, make(SMALL | {"warm_start": {"columns": {"note": "text"}}}))


def test_a_folder_without_a_bundle_is_named(tmp_path):
    with pytest.raises(BundleError, match=r"is not a bundle|Cannot read the bundle"):
        start(tmp_path / "absent")


def test_a_string_is_short_for_the_bundle():
    assert override(make({}), ["warm_start=run/bundle"]).warm_start.bundle == "run/bundle"


def test_texts_of_the_bundle_are_not_opened_as_paths(folder, tmp_path, monkeypatch):
    """A tokenizer's path, as a bundle of a `tokenizer.json` has it, is compared and kept, not opened."""
    files = {name: bytes(data) for name, data in bundle_files.read(folder).files.items()}
    schema = json.loads(files["schema.json"])
    (note,) = [column for column in schema["columns"] if column["name"] == "note"]
    trap = tmp_path / "trap"
    os.mkfifo(trap)  # opening it would wait for ever
    note["settings"]["tokenizer"] = str(trap)
    bundle_files.write(tmp_path / "bundle", files | {"schema.json": json.dumps(schema).encode()})
    assert start(tmp_path / "bundle").bundle.schema.column("note").settings["tokenizer"] == str(trap)


def test_a_bundle_that_names_another_is_refused(folder, tmp_path):
    files = {name: bytes(data) for name, data in bundle_files.read(folder).files.items()}
    config = json.loads(files["config.json"])
    config["warm_start"]["bundle"] = str(folder)
    bundle_files.write(tmp_path / "bundle", files | {"config.json": json.dumps(config).encode()})
    with pytest.raises(DamagedBundleError, match="a bundle names no other bundle"):
        bundle.load(tmp_path / "bundle")
