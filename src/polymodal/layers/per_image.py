"""An image encoder, applied to every picture of a cell that holds several: frames of a clip, pictures of a list."""

from __future__ import annotations

from typing import Annotated, Any

import torch
from jaxtyping import Bool, Float, UInt8
from pydantic import AfterValidator
from torch import Tensor, nn

from polymodal import registry
from polymodal.config.run_config import Part, PartField, part_settings
from polymodal.layers.pooling import lengths_to_mask, masked_mean
from polymodal.protocols import Encoder
from polymodal.types import Cells

KIND = "encoders/image"
SMALL = Part(name="cnn", channels=16)  # the default: there are many pictures in a cell


def _with_default(part: Part) -> Part:
    """`cnn` where no encoder is named, and a small one where its channels are not."""
    return SMALL.model_copy(update=part.settings) if part.name in (None, SMALL.name) else part


ImageEncoder = Annotated[PartField, AfterValidator(_with_default)]


def needs_of(image: Part) -> dict[str, Any]:
    """Settings of the modality that an image encoder depends on, such as the size of pictures."""
    needs: dict[str, Any] = registry.load(KIND, image.name or "").needs(part_settings(KIND, image))
    return needs


def portable_of(image: Part, encoder: Encoder) -> dict[str, Any]:
    """The image encoder as a part that can be built without any file outside of a bundle."""
    return {"name": image.name, **encoder.portable}


class PerImageEncoder(nn.Module):
    """Pictures UInt8 "N T 3 H W" -> a vector for each.

    Args:
        image: any image encoder; where it gives several tokens for a picture, their mean counts.
    """

    def __init__(self, image: Encoder) -> None:
        super().__init__()
        self.image = image
        self.width = image.width

    def forward(self, cells: Cells) -> tuple[Float[Tensor, "N T D"], Bool[Tensor, "N T"]]:
        """Vectors, zeros where there is no picture, and a mask that says where there is one."""
        mask = lengths_to_mask(cells.lengths, cells.values.shape[1])
        real = mask.unsqueeze(-1)
        if torch.compiler.is_exporting():  # a graph cannot depend on how many are real: all are encoded
            values = self._encode(cells.values.flatten(0, 1)).view(*mask.shape, self.width)
            return torch.where(real, values, values.new_zeros(())), mask
        encoded = self._encode(cells.values[mask])
        return encoded.new_zeros(*mask.shape, self.width).masked_scatter(real, encoded), mask

    def _encode(self, pictures: UInt8[Tensor, "P 3 H W"]) -> Float[Tensor, "P D"]:
        ones = torch.ones(pictures.shape[0], dtype=torch.int64, device=pictures.device)
        tokens = self.image(Cells(pictures, ones))
        return masked_mean(tokens.values, tokens.mask)
