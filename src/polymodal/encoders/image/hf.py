"""Pretrained network for images, as transformers saves it; frozen unless told otherwise."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from pydantic import ConfigDict, JsonValue, PositiveInt
from torch import Tensor, nn

from polymodal.modalities.image import Image
from polymodal.pretrained import checkpoints
from polymodal.pretrained.adaptation import FROZEN, TrainField
from polymodal.pretrained.checkpoint_pictures import picture_side, pixel_norm
from polymodal.pretrained.checkpoints import Family
from polymodal.pretrained.network import Pool, Pretrained, choose_pool, pooled
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
_FAMILY = Family(
    what="image encoder",
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
        size: side of the pictures in pixels; null: the checkpoint's own. Smaller is faster.
        pool: `auto` gives the class token, or the mean of all patches where a network has none; `first` and `mean` ask
            for one of the two; `none` keeps a token for each patch, row by row.
        train: how the weights learn: `frozen` (every picture is then encoded only once), `full`, `top` or `lora`.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    checkpoint: str | None = None
    architecture: dict[str, JsonValue] | None = None
    preprocessing: dict[str, JsonValue] | None = None
    size: PositiveInt | None = None
    pool: Pool = "auto"
    train: TrainField = FROZEN


class Hf(Pretrained[HfConfig]):
    """Pictures UInt8 "N 3 H W" -> one token, or one for each patch.

    Raises:
        ConfigError: no folder, a folder that holds no such checkpoint, or one that would need foreign code or a pickle.
        MissingExtraError: transformers, or for `lora` peft, is not installed.
    """

    Config: ClassVar[type] = HfConfig

    def __init__(self, config: HfConfig, modality: Image) -> None:
        super().__init__(config)
        self.checkpoint = checkpoints.described(config, _FAMILY)
        self.num_first = _FIRST[self.checkpoint.model_type]
        self.pool = choose_pool(config.pool, num_first=self.num_first, who=_FAMILY.who)
        self.pixels = pixel_norm(self.checkpoint)
        self.adopt(self.checkpoint.network(), who=_FAMILY.who, unused=checkpoints.UNUSED)
        self.width = checkpoints.width_of(self.network)
        # Position embeddings are interpolated for pictures of another size than those of the pretraining.
        sized = "interpolate_pos_encoding" in inspect.signature(self.network.forward).parameters
        self.options = {"interpolate_pos_encoding": True} if sized and self._has_other_size(modality.size) else {}
        self.token_span = self._span(modality.size) if self.pool == "none" else None

    @classmethod
    def needs(cls, config: HfConfig) -> dict[str, Any]:
        """Pictures of the size that the network was trained on, unless said otherwise.

        Raises:
            ConfigError: no such folder, or a file in it is missing.
        """
        return {"size": config.size or picture_side(checkpoints.described(config, _FAMILY))}

    @property
    def portable(self) -> dict[str, Any]:
        found = self.checkpoint
        return self.settings_inside(architecture=found.architecture, preprocessing=found.preprocessing)

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

    @property
    def num_registers(self) -> int:
        """Tokens between the class token and the patches that only give the network room to think."""
        return int(getattr(self.network.config, "num_register_tokens", 0))

    def _has_other_size(self, size: int) -> bool:
        return size != self.checkpoint.architecture.get("image_size", getattr(self.network.config, "image_size", size))

    def _span(self, size: int) -> float:
        """Pixels along a side that a token covers."""
        with torch.no_grad():
            self.network.eval()
            found = self._states(torch.zeros(1, 3, size, size))
        self.train(self.training)
        return float(size / (found.shape[1] - self.num_first - self.num_registers) ** 0.5)
