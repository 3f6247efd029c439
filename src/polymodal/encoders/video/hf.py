"""Pretrained network for video, as transformers saves it; frozen unless told otherwise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from polymodal.encoders._checkpoint import CheckpointSettings, PictureNetwork
from polymodal.errors import ConfigError
from polymodal.modalities.video import Video
from polymodal.pretrained import checkpoints
from polymodal.pretrained.checkpoint_pictures import picture_side
from polymodal.pretrained.checkpoints import Family
from polymodal.pretrained.network import pooled
from polymodal.types import Cells, Tokens

_FIRST = {"timesformer": 1, "videomae": 0, "vivit": 1}  # class tokens that stand before the patches
_FAMILY = Family(what="video encoder", model_types=tuple(_FIRST))


@dataclass(frozen=True)
class HfConfig(CheckpointSettings):
    """Settings of `Hf`: those of its checkpoint."""


class Hf(PictureNetwork[HfConfig]):
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
        super().__init__(config, family=_FAMILY, num_first=_FIRST)
        whole = self.network.config
        self.num_frames = int(whole.num_frames)
        tubelet = getattr(whole, "tubelet_size", 1)
        self.num_steps = self.num_frames // int(tubelet[0] if isinstance(tubelet, list | tuple) else tubelet)
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
