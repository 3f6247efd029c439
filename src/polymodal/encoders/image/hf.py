"""Pretrained network for images, as transformers saves it; frozen unless told otherwise."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn

from polymodal.encoders._checkpoint import CheckpointSettings, PictureNetwork
from polymodal.modalities.image import Image
from polymodal.pretrained import checkpoints
from polymodal.pretrained.checkpoint_pictures import picture_side
from polymodal.pretrained.checkpoints import Family
from polymodal.pretrained.network import pooled
from polymodal.types import Cells, Tokens

_FIRST = {  # class tokens that stand before the patches; of those with register tokens, these too
    "beit": 1,
    "clip_vision_model": 1,
    "convnext": 0,
    "convnextv2": 0,
    "deit": 2,
    "dinov2": 1,
    "dinov2_with_registers": 1,
    "resnet": 0,
    "siglip_vision_model": 0,
    "swin": 0,
    "vit": 1,
    "vit_msn": 1,
}
_LAST_NORM = {"clip_vision_model": "post_layernorm", "convnext": "layernorm", "convnextv2": "layernorm"}
_FAMILY = Family(what="image encoder", model_types=tuple(_FIRST))


@dataclass(frozen=True)
class HfConfig(CheckpointSettings):
    """Settings of `Hf`, besides those of its checkpoint.

    Attributes:
        size: side of the pictures in pixels; null: the checkpoint's own. Smaller is faster.
    """

    size: PositiveInt | None = None


class Hf(PictureNetwork[HfConfig]):
    """Pictures UInt8 "N 3 H W" -> one token, or one for each patch.

    Raises:
        ConfigError: no folder, a folder that holds no such checkpoint, or one that would need foreign code or a pickle.
        MissingExtraError: transformers, or for `lora` peft, is not installed.
    """

    Config: ClassVar[type] = HfConfig

    def __init__(self, config: HfConfig, modality: Image) -> None:
        super().__init__(config, family=_FAMILY, num_first=_FIRST)
        # Tokens between the class token and the patches that only give the network room to think.
        self.num_registers = int(getattr(self.network.config, "num_register_tokens", 0))
        # Position embeddings are interpolated for pictures of another size than those of the pretraining.
        sized = "interpolate_pos_encoding" in inspect.signature(self.network.forward).parameters
        own = getattr(self.network.config, "image_size", modality.size)
        other = modality.size != self.checkpoint.architecture.get("image_size", own)
        self.options = {"interpolate_pos_encoding": True} if sized and other else {}
        self.token_span = self._span(modality.size) if self.pool == "none" else None

    @classmethod
    def needs(cls, config: HfConfig) -> dict[str, Any]:
        """Pictures of the size that the network was trained on, unless said otherwise.

        Raises:
            ConfigError: no such folder, or a file in it is missing.
        """
        return {"size": config.size or picture_side(checkpoints.described(config, _FAMILY))}

    def forward(self, cells: Cells) -> Tokens:
        with self.learning():
            found = self._states(self.pixels(cells.values))
            first, rest = found[:, : self.num_first], found[:, self.num_first + self.num_registers :]
            mask = torch.ones(rest.shape[:2], dtype=torch.bool, device=rest.device)
            tokens = pooled(first, rest, mask, self.pool)
            return Tokens(self.last_norm(tokens.values), tokens.mask)

    def _states(self, pixels: Float[Tensor, "N C H W"]) -> Float[Tensor, "N T D"]:
        found: Tensor = self.network(pixel_values=pixels, **self.options).last_hidden_state
        if found.ndim == 4:  # of convolutions: N, D, H, W
            found = found.flatten(2).transpose(1, 2)
        return found

    @property
    def last_norm(self) -> nn.Module:
        """What some kinds apply to their pooled states alone."""
        name = _LAST_NORM.get(self.checkpoint.model_type)
        return self.network.get_submodule(name) if name else nn.Identity()

    def _span(self, size: int) -> float:
        """Pixels along a side that a token covers."""
        with torch.no_grad():
            self.network.eval()
            found = self._states(torch.zeros(1, 3, size, size))
        self.train(self.training)
        return float(size / (found.shape[1] - self.num_first - self.num_registers) ** 0.5)
