import json
import shutil

import numpy as np
import pytest
import torch
from tiny import IMAGES, PICTURE, folder, save

from polymodal.encoders.image.hf import Hf, HfConfig
from polymodal.errors import ConfigError
from polymodal.modalities.image import Image
from polymodal.pretrained.adaptation import Train
from polymodal.testing import check_encoder


def encoder_and_cells(place, **settings):
    config = HfConfig(checkpoint=str(place), **settings)
    modality = Image(Image.Config(**Hf.needs(config)))
    side = modality.size
    pictures = np.random.default_rng(0).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    return Hf(config, modality), modality.collate(list(pictures))


@pytest.mark.parametrize("train", ["frozen", "top", "lora"])
def test_keeps_the_contract_however_it_learns(train):
    check_encoder("hf", "image", settings={"checkpoint": str(folder("vit")), "train": train, "pool": "none"})


@pytest.mark.parametrize("kind", sorted(IMAGES))
def test_every_kind_keeps_the_contract(kind):
    check_encoder("hf", "image", settings={"checkpoint": str(folder(kind)), "train": "full"})


@pytest.fixture
def copy(tmp_path):
    return shutil.copytree(folder("vit"), tmp_path / "copy")


def reference(place, cells):
    """What transformers' own classes give for the same pictures."""
    from transformers import AutoModel, ViTImageProcessor

    processor = ViTImageProcessor.from_pretrained(place, do_resize=False)
    pixels = processor(list(cells.values.permute(0, 2, 3, 1).numpy()), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        return AutoModel.from_pretrained(place).eval()(pixels)


def test_the_class_token_equals_that_of_transformers():
    encoder, cells = encoder_and_cells(folder("dinov2"))
    expected = reference(folder("dinov2"), cells).last_hidden_state[:, 0]
    torch.testing.assert_close(encoder(cells).values[:, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["clip_vision", "convnext", "resnet"])
def test_what_is_pooled_equals_the_pooler_of_transformers(kind):
    encoder, cells = encoder_and_cells(folder(kind))
    expected = reference(folder(kind), cells).pooler_output.flatten(1)
    torch.testing.assert_close(encoder(cells).values[:, 0], expected, rtol=1e-4, atol=1e-5)


def test_patches_come_without_class_and_register_tokens():
    encoder, cells = encoder_and_cells(folder("registers"), pool="none")
    tokens = encoder(cells)
    expected = reference(folder("registers"), cells).last_hidden_state[:, 3:]
    assert tokens.mask.shape == (3, 4)
    assert encoder.token_span == 8.0
    torch.testing.assert_close(tokens.values, expected, rtol=1e-4, atol=1e-5)


def test_of_a_whole_clip_the_half_that_sees_is_taken(tmp_path):
    save(tmp_path, "CLIPConfig", "CLIPModel", vision_config=PICTURE, text_config={**PICTURE, "vocab_size": 9},
         projection_dim=4)  # fmt: skip
    shutil.copy(folder("vit") / "preprocessor_config.json", tmp_path)
    from transformers import CLIPModel

    encoder, cells = encoder_and_cells(tmp_path)
    expected = CLIPModel.from_pretrained(tmp_path).vision_model.state_dict()
    assert all(torch.equal(encoder.network.state_dict()[name], tensor) for name, tensor in expected.items())
    assert encoder(cells).values.shape == (3, 1, 16)


def test_another_size_interpolates_the_positions():
    encoder, cells = encoder_and_cells(folder("vit"), size=32, pool="none")
    assert encoder(cells).mask.shape == (3, 16)


def test_colours_and_size_are_those_of_the_checkpoint():
    encoder, _ = encoder_and_cells(folder("vit"))
    assert Hf.needs(encoder.config) == {"size": 16}
    assert encoder.pixels.mean.flatten().tolist() == pytest.approx([0.4, 0.5, 0.6])
    assert encoder.pixels.deviation.flatten().tolist() == pytest.approx([0.2, 0.3, 0.25])


@pytest.mark.parametrize("train", ["full", "top", "lora"])
def test_one_step_moves_what_learns_and_nothing_else(train):
    encoder, cells = encoder_and_cells(folder("vit"), train=Train(train, layers=1))
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in encoder.parameters() if p.requires_grad], lr=1.0)
    for _ in range(2):  # the first step of an adapter moves one of its two matrices
        optimizer.zero_grad()
        encoder.train()(cells).values.square().mean().backward()
        optimizer.step()
    moved = {name for name, value in encoder.state_dict().items() if not torch.equal(value, before[name])}
    learns = {
        "full": lambda name: True,
        "top": lambda name: ".layers.2." in name or "network.layernorm" in name,
        "lora": lambda name: ".lora_" in name,
    }[train]
    stays = "k_proj.bias"  # adds the same to all scores of a softmax, and so has no gradient
    meant = {name for name, _ in encoder.named_parameters() if learns(name) and not name.endswith(stays)}
    assert {name for name in moved if not name.endswith(stays)} == meant


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_each_missing_file_is_named(copy, name):
    (copy / name).unlink()
    with pytest.raises(ConfigError, match=name):
        encoder_and_cells(copy)


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"size": {"height": 16, "width": 8}}, "only squares"),
        ({"rescale_factor": 0.5}, "only 1 / 255"),
        ({"image_mean": [0.5]}, "image_mean and image_std"),
        ({"image_std": None}, "image_mean and image_std"),
    ],
)
def test_preprocessing_that_cannot_be_done_is_refused(copy, entry, words):
    file = copy / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | entry))
    with pytest.raises(ConfigError, match=words):
        encoder_and_cells(copy)


def test_a_class_token_that_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="pool: first needs a network with a class token"):
        encoder_and_cells(folder("resnet"), pool="first")


def test_kinds_of_model_that_are_not_for_images_are_refused(copy):
    file = copy / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": "os.system"}))
    with pytest.raises(ConfigError, match="not a known image encoder"):
        encoder_and_cells(copy)


def test_a_lacking_tensor_is_named_instead_of_made_up(copy):
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    lacking = next(name for name in tensors if name.endswith("layernorm.weight"))
    del tensors[lacking]
    save_file(tensors, copy / "model.safetensors")
    with pytest.raises(ConfigError, match=r"lacks 1 tensors, such as 'layernorm\.weight'"):
        encoder_and_cells(copy)
