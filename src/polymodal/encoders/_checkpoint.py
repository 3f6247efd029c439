"""What encoders of media around a checkpoint of transformers have alike: their settings, and pictures' networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import JsonValue

from polymodal.config.node import settings
from polymodal.pretrained import checkpoints
from polymodal.pretrained.adaptation import FROZEN, TrainField
from polymodal.pretrained.checkpoint_pictures import pixel_norm
from polymodal.pretrained.network import Pool, Pretrained, choose_pool


@settings
class CheckpointSettings:
    """Settings of encoders of images, sounds and clips around a checkpoint.

    Attributes:
        checkpoint: folder with `config.json`, `preprocessor_config.json` and `model.safetensors`; or `hf:` and a name
            at huggingface.co, which is fetched once. None in a saved model, whose weights lie in its bundle.
        architecture: what the checkpoint's `config.json` says; filled in when a model is saved.
        preprocessing: what its `preprocessor_config.json` says of size and colours, or of rate and scale; filled in
            likewise.
        pool: `auto` gives the class token, or the mean of all others where a network has none; `first` and `mean` ask
            for one of the two; `none` keeps a token for each patch of an image, row by row, or each step of time.
        train: how the weights learn: `frozen` (every cell is then encoded only once), `full`, `top` or `lora`.
    """

    checkpoint: str | None = None
    architecture: dict[str, JsonValue] | None = None
    preprocessing: dict[str, JsonValue] | None = None
    pool: Pool = "auto"
    train: TrainField = FROZEN


_Config = TypeVar("_Config", bound=CheckpointSettings)


class PictureNetwork(Pretrained[_Config]):
    """A network that reads pictures, with the pixels as it was trained on them.

    Args:
        config: settings of the encoder.
        family: the checkpoints that it takes.
        num_first: of each kind of network, how many class tokens stand before its patches.
    """

    def __init__(self, config: _Config, *, family: checkpoints.Family, num_first: Mapping[str, int]) -> None:
        super().__init__(config)
        self.checkpoint = checkpoints.described(config, family)
        self.num_first = num_first[self.checkpoint.model_type]
        self.pool = choose_pool(config.pool, num_first=self.num_first, who=family.who)
        self.pixels = pixel_norm(self.checkpoint)
        self.adopt(self.checkpoint.network(), who=family.who, unused=checkpoints.UNUSED)
        self.width = checkpoints.width_of(self.network)

    @property
    def portable(self) -> dict[str, Any]:
        found = self.checkpoint
        return self.settings_inside(architecture=found.architecture, preprocessing=found.preprocessing)
