import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from polymodal.config.run_config import Part, part_settings
from polymodal.encoders.text.hf import Hf, HfConfig
from polymodal.errors import ConfigError, MissingExtraError
from polymodal.modalities.text import Text
from polymodal.testing import check_encoder, sample_cells


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory) -> Path:
    """A checkpoint folder with a tokenizer, as `save_pretrained` writes it."""
    from transformers import BertConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("tiny") / "bert"
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=300,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=20,
    )
    BertForMaskedLM(config).save_pretrained(folder)  # its tensors are called `bert.encoder...`, `cls...`
    modality = Text(Text.Config())
    statistics = modality.fit([modality.read(cell) for cell in sample_cells("text")])
    (folder / "tokenizer.json").write_text(statistics["tokenizer"], encoding="utf-8")
    return folder


@pytest.fixture
def copy(tiny_bert, tmp_path) -> Path:
    """A checkpoint folder to damage."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    for file in tiny_bert.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def encoder_and_cells(folder: Path, **settings):
    config = HfConfig(checkpoint=str(folder), **{"max_tokens": 20, **settings})
    text = Text.Config(**Hf.needs(config))
    arrays = [Text(text).read(cell) for cell in sample_cells("text")]
    modality = Text(text, Text(text).fit(arrays))
    return Hf(config, modality), modality.collate(arrays)


@pytest.mark.parametrize("settings", [{}, {"train": True}, {"pool": "none"}])
def test_keeps_the_contract(tiny_bert, settings):
    check_encoder("hf", "text", settings={"checkpoint": str(tiny_bert), "max_tokens": 20, **settings})


def test_equals_transformers_own_loading(tiny_bert):
    from transformers import BertModel

    encoder, cells = encoder_and_cells(tiny_bert, pool="none")
    reference = BertModel.from_pretrained(tiny_bert, add_pooling_layer=False).eval()
    mask = (torch.arange(cells.values.shape[1]) < cells.lengths.unsqueeze(1)).long()
    with torch.no_grad():
        expected = reference(cells.values, attention_mask=mask).last_hidden_state
    tokens = encoder(cells)
    torch.testing.assert_close(tokens.values[tokens.mask], expected[mask.bool()])


def test_frozen_keeps_weights_and_eval_mode_and_gives_no_graph(tiny_bert):
    encoder, cells = encoder_and_cells(tiny_bert)
    encoder.train()
    tokens = encoder(cells)
    assert not tokens.values.requires_grad
    assert not encoder.network.training
    assert torch.equal(encoder(cells).values, tokens.values)
    assert not any(parameter.requires_grad for parameter in encoder.parameters())


def test_portable_settings_need_no_file(tiny_bert, monkeypatch):
    encoder, cells = encoder_and_cells(tiny_bert)
    settings = json.loads(json.dumps(encoder.portable))
    assert settings["checkpoint"] is None
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: pytest.fail("opened a file"))
    modality = Text(Text.Config(max_tokens=20), {"tokenizer": "", "padding_id": 0})
    monkeypatch.setattr(Text, "vocabulary_size", 100)
    rebuilt = Hf(part_settings("encoders/text", Part(name="hf", **settings)), modality)
    rebuilt.load_state_dict(encoder.state_dict())
    assert torch.equal(rebuilt(cells).values, encoder(cells).values)


def test_needs_the_tokenizer_of_the_checkpoint(tiny_bert):
    config = HfConfig(checkpoint=str(tiny_bert), max_tokens=7)
    assert Hf.needs(config) == {"tokenizer": str(tiny_bert / "tokenizer.json"), "max_tokens": 7}


@pytest.mark.parametrize("checkpoint", ["no/such/folder", "sentence-transformers/all-MiniLM-L6-v2", "https://x.org/m"])
def test_a_folder_that_is_not_there_is_an_error_at_once(checkpoint):
    with pytest.raises(ConfigError, match=r"there is no folder .* Nothing is downloaded"):
        Hf.needs(HfConfig(checkpoint=checkpoint))


def test_no_checkpoint_at_all_says_how_to_point_to_one():
    modality = Text(Text.Config(), {"tokenizer": "", "padding_id": 0})
    with pytest.raises(ConfigError, match=r"needs a checkpoint.*model\.safetensors"):
        Hf(HfConfig(), modality)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_each_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ConfigError, match=name):
        encoder_and_cells(copy)


def test_pickled_weights_are_refused_unread(copy):
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"pytorch_model\.bin is a pickle"):
        encoder_and_cells(copy)


@pytest.mark.parametrize(
    "entry",
    [
        {"auto_map": {"AutoModel": "evil--modeling.Evil"}},
        {"attn_implementation": "kernels-community/evil"},
        {"_attn_implementation_internal": "kernels-community/evil"},
        {"quantization_config": {"quant_method": "custom"}},
    ],
)
def test_settings_that_name_code_are_refused(copy, entry):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | entry))
    with pytest.raises(ConfigError, match="asks for code from outside"):
        encoder_and_cells(copy)
    with pytest.raises(ConfigError, match="asks for code from outside"):
        Hf(HfConfig(architecture=config | entry), Text(Text.Config(), {"tokenizer": "", "padding_id": 0}))


@pytest.mark.parametrize("model_type", ["t5", "os.system", None, ["bert"]])
def test_unknown_kinds_of_model_are_refused(copy, model_type):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"model_type": model_type}))
    with pytest.raises(ConfigError, match="not a known text encoder"):
        encoder_and_cells(copy)


@pytest.mark.parametrize("entry", [{"hidden_act": "os.system"}, {"num_attention_heads": 3}, {"hidden_size": "wide"}])
def test_an_architecture_that_cannot_be_built_is_refused(copy, entry):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | entry))
    with pytest.raises(ConfigError):
        encoder_and_cells(copy)


def test_config_that_is_not_json_is_named(copy):
    (copy / "config.json").write_text("{")
    with pytest.raises(ConfigError, match=r"config\.json is not JSON"):
        encoder_and_cells(copy)


def test_a_lacking_tensor_is_named_instead_of_made_up(copy):
    tensors = load_file(copy / "model.safetensors")
    del tensors["bert.encoder.layer.1.output.dense.weight"]
    save_file(tensors, copy / "model.safetensors")
    with pytest.raises(ConfigError, match=r"lacks 1 tensors, such as 'encoder\.layer\.1\.output\.dense\.weight'"):
        encoder_and_cells(copy)


def test_weights_of_another_shape_are_refused(copy):
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"intermediate_size": 64}))
    with pytest.raises(ConfigError, match=r"do not fit its config\.json"):
        encoder_and_cells(copy)


def test_damaged_weights_are_refused(copy):
    (copy / "model.safetensors").write_bytes((copy / "model.safetensors").read_bytes()[:-9])
    with pytest.raises(ConfigError, match="is damaged"):
        encoder_and_cells(copy)


def test_first_bert_names_of_layer_norm_are_known(copy):
    tensors = load_file(copy / "model.safetensors")
    old = {k.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): v
           for k, v in tensors.items()}  # fmt: skip
    save_file(old, copy / "model.safetensors")
    encoder_and_cells(copy)


def test_texts_longer_than_the_checkpoint_reads_are_refused(tiny_bert):
    with pytest.raises(ConfigError, match="max_tokens is 21, the checkpoint reads 20"):
        encoder_and_cells(tiny_bert, max_tokens=21)


def test_the_length_that_the_user_gave_the_column_counts(tiny_bert):
    """The user's settings of a column go before what the encoder needs."""
    encoder, _ = encoder_and_cells(tiny_bert)
    statistics = {"tokenizer": (tiny_bert / "tokenizer.json").read_text()}
    with pytest.raises(ConfigError, match="max_tokens is 21, the checkpoint reads 20"):
        Hf(encoder.config, Text(Text.Config(max_tokens=21), statistics))


def test_a_tokenizer_with_more_pieces_than_the_checkpoint_is_refused(tiny_bert, monkeypatch):
    monkeypatch.setattr(Text, "vocabulary_size", 301)
    with pytest.raises(ConfigError, match="301 pieces, the checkpoint knows 300"):
        encoder_and_cells(tiny_bert)


def test_missing_transformers_names_the_extra(tiny_bert, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"polymodal\[hf\]"):
        encoder_and_cells(tiny_bert)
