"""One encoder for several inputs: built once, saved once, fitted on all of their columns."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from polymodal.bundles import bundle
from polymodal.bundles import files as bundle_files
from polymodal.config.run_config import make
from polymodal.config.sharing import groups
from polymodal.errors import ConfigError, DamagedBundleError
from polymodal.layers.by_name import ByName
from polymodal.pipeline.run import train
from polymodal.schema import Column

WORDS = {"en": ["red cat", "blue dog", "red dog", "blue cat"], "de": ["rote Katze", "blauer Hund", "roter Hund", None]}
TABLE = {
    "name": WORDS["en"] * 6,
    "name_de": WORDS["de"] * 6,
    "size": np.random.default_rng(0).normal(size=24).tolist(),
    "label": ["r", "b"] * 12,
    "side": ["train"] * 12 + ["validation"] * 6 + ["test"] * 6,
}
TEXTS = {"name": {"modality": "text"}, "name_de": {"modality": "text"}}


def config(**values):
    settings = {
        "target": "label",
        "split": {"column": "side"},
        "columns": TEXTS,
        "encoders": {"text": {"width": 4}, "table": {"width": 4}},
        "fusion": {"width": 4},
        "train": {"epochs": 1},
        "share": ["text"],
    }
    return make(settings | values)


@pytest.fixture(scope="module")
def run():
    return train(TABLE, config(encoders={"text": {"name": "bag", "width": 4}, "table": {"width": 4}},
                               modalities={"text": {"tokenizer": "words"}}))  # fmt: skip


def test_there_is_one_encoder_and_its_weights_are_saved_once(run):
    model = run.bundle.model
    assert model.encoders["name"] is model.encoders["name_de"]
    assert list(model.encoders) == ["name", "name_de", "table"]
    assert [value is model.encoders[name] for name, value in model.encoders.items()] == [True] * 3
    embedding = model.encoders["name"].embedding.weight
    saved = [value for value in model.state_dict().values() if value.shape == embedding.shape]
    assert len(saved) == 1 and torch.equal(saved[0], embedding)
    assert len(list(model.parameters())) == len({id(parameter) for parameter in model.parameters()})


def test_the_vocabulary_is_that_of_both_columns(run):
    english, german = (run.bundle.schema.column(name).statistics for name in ("name", "name_de"))
    assert english == german
    assert set(english["words"]) == {"red", "blue", "cat", "dog", "rote", "roter", "blauer", "katze", "hund"}
    assert english["texts"] == 12 + 9  # of the training rows


def test_it_comes_back_from_its_bundle(run, tmp_path):
    bundle.save(run.bundle, tmp_path / "bundle")
    loaded = bundle.load(tmp_path / "bundle")
    assert loaded.model.encoders["name"] is loaded.model.encoders["name_de"]
    assert [entry.shares for entry in loaded.schema.inputs] == [None, "name", None]
    for key, value in run.bundle.model.state_dict().items():
        assert torch.equal(value, loaded.model.state_dict()[key])


def test_the_written_configuration_repeats_it(run):
    again = train(TABLE, run.bundle.config).bundle
    assert again.schema.inputs == run.bundle.schema.inputs
    assert again.config == run.bundle.config


def test_both_inputs_teach_it(run):
    """The gradient of the one encoder is the sum of what flows through either input."""
    model = run.bundle.model.train(False)
    encoder = model.encoders["name"]
    ids = torch.tensor([[2, 3]])
    from polymodal.types import Batch, Cells

    here, nothing = Cells(ids, torch.tensor([2])), Cells(ids, torch.tensor([0]))
    numbers = Cells(torch.zeros(1, 1), torch.tensor([0]))

    def gradient(first, second):
        cells = {"name": first, "name_de": second, "size": numbers}
        tokens = model.model.encode(Batch(cells, torch.tensor([0]), {}))
        total = tokens["name"].values.sum() + 2 * tokens["name_de"].values.sum()
        return torch.autograd.grad(total, encoder.embedding.weight)[0]

    torch.testing.assert_close(gradient(here, here), gradient(here, nothing) + gradient(nothing, here))


def test_texts_that_are_cut_are_counted_once_for_all(run):
    notes = train(TABLE, config(modalities={"text": {"max_tokens": 1, "tokenizer": "words"}})).notes
    assert "name, name_de: 21 cells of the training rows cut to the length that the model takes" in notes


def test_a_name_in_a_bundle_that_cannot_share_is_refused(run, tmp_path):
    folder = tmp_path / "bundle"
    bundle.save(run.bundle, folder)
    files = {name: bytes(data) for name, data in bundle_files.read(folder).files.items()}
    for change, words in (
        ({"shares": "nobody"}, "shares the encoder of 'nobody', which has none"),
        ({"shares": "table"}, "are described apart"),
        ({"shares": "name", "settings": {}}, "are described apart"),
    ):
        schema = json.loads(files["schema.json"])
        schema["inputs"][1] |= change
        bundle_files.write(folder, files | {"schema.json": json.dumps(schema).encode()})
        with pytest.raises(DamagedBundleError, match=words):
            bundle.load(folder)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"share": [["name", "nam_de"]]}, "no column 'nam_de'. Did you mean 'name_de'"),
        ({"share": [["name", "size"]]}, "of one modality can share an encoder, but 'name' is text, 'size' is number"),
        ({"share": ["number"]}, "columns of number enter as one input anyhow, 'table'"),
        ({"share": ["text", ["name", "name_de"]]}, "column 'name' is in two groups"),
        ({"stage": "late"}, "with stage 'late' every input learns by itself, so name, name_de cannot share"),
        ({"columns": {**TEXTS, "name": {"modality": {"name": "text", "max_tokens": 3}}}},
         "columns.name.modality of text: max_tokens is 3, columns.name_de.modality of text: max_tokens is 2048"),
        ({"columns": {**TEXTS, "name_de": {"modality": "text", "encoder": {"name": "rnn", "width": 4}}}},
         "same settings; columns.name.encoder: "),
    ],
)  # fmt: skip
def test_what_cannot_share_is_said_before_cells_are_read(monkeypatch, values, words):
    monkeypatch.setattr("polymodal.pipeline.problem.prepare", lambda *_, **__: pytest.fail("read the cells"))
    with pytest.raises(ConfigError, match=words):
        train(TABLE, config(**values))


def test_columns_that_are_left_out_are_passed_over():
    columns = [Column(name=name, kind="", modality=kind, reason="")
               for name, kind in (("a", "text"), ("b", "text"), ("c", None))]  # fmt: skip
    assert groups(columns, make({"share": [["b", "c", "a"]]}), allowed=True) == (("a", "b"),)
    assert groups(columns, make({"share": [["b", "c"], "image"]}), allowed=False) == ()


def test_modules_under_one_name_each_are_held_as_before():
    parts = {name: torch.nn.Linear(1, 1) for name in ("b", "a", "c")}
    assert list(ByName(parts).state_dict()) == [f"parts.{n}.{kind}" for n in range(3) for kind in ("weight", "bias")]
    assert list(ByName(parts).values()) == [parts[name] for name in "abc"]
