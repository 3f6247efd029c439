"""Pretrained network for video, as transformers saves it; frozen unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int, UInt8
from pydantic import ConfigDict, JsonValue
from torch import Tensor

from polymodal.errors import ConfigError
from polymodal.modalities.video import Video
from polymodal.pretrained import checkpoints
from polymodal.pretrained.adaptation import FROZEN, TrainField
from polymodal.pretrained.checkpoint_pictures import picture_side, pixel_norm
from polymodal.pretrained.checkpoints import Family
from polymodal.pretrained.network import Pool, Pretrained, choose_pool, pooled
from polymodal.types import Cells, Tokens

_FIRST = {"timesformer": 1, "videomae": 0, "vivit": 1}  # class tokens that stand before the patches
_FAMILY = Family(
    what="video encoder",
    model_types=tuple(_FIRST),
)


@dataclass(frozen=True)
class HfConfig:
    """Settings of `Hf`.

    Attributes:
        checkpoint: folder with `config.json`, `preprocessor_config.json` and `model.safetensors`; or `hf:` and a name
            at huggingface.co, which is fetched once. None in a saved model, whose weights lie in its bundle.
        architecture: what the checkpoint's `config.json` says; filled in when a model is saved.
        preprocessing: what its `preprocessor_config.json` says of size and colours; filled in likewise.
        pool: `auto` gives the class token, or the mean of all patches where a network has none; `first` and `mean` ask
            for one of the two; `none` keeps a token for each step of time.
        train: how the weights learn: `frozen` (every clip is then encoded only once), `full`, `top` or `lora`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    checkpoint: str | None = None
    architecture: dict[str, JsonValue] | None = None
    preprocessing: dict[str, JsonValue] | None = None
    pool: Pool = "auto"
    train: TrainField = FROZEN


class Hf(Pretrained[HfConfig]):
    """Clips UInt8 "N T 3 H W" -> one token, or one for each step of time.

    These networks see a fixed number of frames. Of a longer clip so many are read, spread evenly over it; of a shorter
    one each frame is shown for longer, so that the clip fills them.

    Raises:
        ConfigError: no folder, a folder that holds no such checkpoint, one that would need foreign code or a pickle, or
            a column of another size than the checkpoint's.
        MissingExtraError: transformers, or for `lora` peft, is not installed.
    """

    Config: ClassVar[type] = HfConfig

    def __init__(self, config: HfConfig, modality: Video) -> None:
        super().__init__(config)
        self.checkpoint = checkpoints.described(config, _FAMILY)
        self.num_first = _FIRST[self.checkpoint.model_type]
        self.pool = choose_pool(config.pool, num_first=self.num_first, who=_FAMILY.who)
        self.pixels = pixel_norm(self.checkpoint)
        self.adopt(self.checkpoint.network(), who=_FAMILY.who, unused=checkpoints.UNUSED)
        whole = self.network.config
        self.width = checkpoints.width_of(self.network)
        self.num_frames = int(whole.num_frames)
        self.num_steps = self.num_frames // _frames_of_a_step(whole)
        if modality.size != whole.image_size:
            raise ConfigError(
                f"{_FAMILY.who}: frames have {modality.size} pixels a side, the checkpoint reads {whole.image_size}. "
                "Leave the column's size out."
            )
        seconds = modality.config.clip_seconds
        self.keeps_time = self.pool == "none"
        self.token_span = seconds / self.num_steps if seconds and self.keeps_time else None

    @classmethod
    def needs(cls, config: HfConfig) -> dict[str, Any]:
        """Frames of the size, and as many of them, as the network was trained on.

        Raises:
            ConfigError: no such folder, or a file in it is missing.
        """
        checkpoint = checkpoints.described(config, _FAMILY)
        return {"size": picture_side(checkpoint), "max_frames": int(checkpoint.config().num_frames)}

    @classmethod
    def spanning(cls, config: HfConfig, seconds: float) -> HfConfig:
        """A token for each step of time; how many these are, the network decides."""
        return replace(config, pool="none")

    @property
    def portable(self) -> dict[str, Any]:
        found = self.checkpoint
        return self.settings_inside(architecture=found.architecture, preprocessing=found.preprocessing)

    def forward(self, cells: Cells) -> Tokens:
        clips = _filling(cells.values, cells.lengths, self.num_frames)
        with self.learning():
            pixels = self.pixels(clips.flatten(0, 1)).view(clips.shape)
            found: Tensor = self.network(pixel_values=pixels).last_hidden_state
            first, patches = found[:, : self.num_first], found[:, self.num_first :]
            steps = self._steps(patches)
            mask = torch.ones(steps.shape[:2], dtype=torch.bool, device=steps.device)
            return pooled(first, steps, mask, self.pool)

    def _steps(self, patches: Float[Tensor, "N P D"]) -> Float[Tensor, "N T D"]:
        """The mean of the patches of each step of time, N, T, D; TimeSformer alone puts time innermost."""
        if self.checkpoint.model_type == "timesformer":
            return patches.view(patches.shape[0], -1, self.num_steps, self.width).mean(dim=1)
        return patches.view(patches.shape[0], self.num_steps, -1, self.width).mean(dim=2)


def _filling(
    frames: UInt8[Tensor, "N T 3 H W"], lengths: Int[Tensor, " N"], num_frames: int
) -> UInt8[Tensor, "N U 3 H W"]:
    """So many frames of each clip, evenly spread: U = num_frames."""
    places = torch.arange(num_frames, device=frames.device) * lengths.unsqueeze(1)
    places = torch.div(places, num_frames, rounding_mode="floor")
    rows = torch.arange(frames.shape[0], device=frames.device).unsqueeze(1)
    return frames[rows, places]


def _frames_of_a_step(config: Any) -> int:
    tubelet = getattr(config, "tubelet_size", 1)
    return int(tubelet[0] if isinstance(tubelet, list | tuple) else tubelet)
