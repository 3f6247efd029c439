"""Several pictures in one cell, such as the photographs of one product; their order does not matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, UInt8
from pydantic import Field

from polymodal import registry
from polymodal.codecs import pictures, previews
from polymodal.codecs import sniffing as formats
from polymodal.codecs.padding import pad
from polymodal.config.node import settings
from polymodal.config.run_config import LimitsConfig
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality, Recognition, Sample
from polymodal.types import Cells

_PREVIEW_PICTURES = 6


@settings
class ImagesConfig:
    """Settings of a column with several pictures in a cell.

    Attributes:
        size: side of the square, in pixels, at which pictures are stored and enter the encoder.
        max_pictures: of a cell with more, the first so many are kept.
        fit: how a picture becomes a square, as for images: `pad`, `crop` or `stretch`.
        max_pixels: a larger picture is refused before it is decoded.
        rotate: in training, rotation by up to so many degrees either way; every picture by itself, here and below.
        scale: enlarged or reduced by up to this share.
        shift: moved along each axis by up to this share of the side.
        flip: probability of swapping left and right.
        colour: brightness, contrast and saturation each change by up to this share.
    """

    size: Annotated[int, Field(ge=8, le=1_024)] = 64
    max_pictures: Annotated[int, Field(ge=1, le=1_024)] = 8
    fit: Literal["pad", "crop", "stretch"] = "pad"
    max_pixels: Annotated[int, Field(ge=1)] = 50_000_000
    rotate: Annotated[float, Field(ge=0, le=180)] = 10.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.05
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Images(Modality):
    """Reads lists of what an image column reads one of; gives uint8 [P, 3, size, size], RGB.

    In a table such a cell is a list of paths or of bytes (Arrow, JSON lines, Python), or a text that is a JSON list of
    paths, or paths with `|` or `;` between them. A cell with a single path holds one picture. If one picture of a cell
    is unreadable, then the cell is: part of a list would be another list.
    """

    Config: ClassVar[type] = ImagesConfig
    media: ClassVar[bool] = True
    several: ClassVar[bool] = True

    def __init__(self, config: ImagesConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.size = config.size
        image = registry.load("modalities", "image")
        same = {
            field.name: getattr(config, field.name) for field in fields(image.Config) if hasattr(config, field.name)
        }
        self.picture: Modality = image(image.Config(**same))

    @classmethod
    def examples(cls) -> list[object]:
        rng = np.random.default_rng(0)
        return [rng.integers(0, 256, (count, 20, 24, 3), dtype=np.uint8) for count in (3, 1, 5, 2, 9, 4)]

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """From half of the cells on, pictures, and some of them several in one cell."""
        several = sum(bool(heads) and all(map(_is_picture, heads)) for heads in sample.several)
        single = sum(_is_picture(head) for head in sample.heads)
        num_cells = len(sample.values)
        if not several or 2 * (several + single) < num_cells:
            return None
        reason = f"{several} of {num_cells} sampled cells list pictures"
        return Recognition(0.5 + 0.5 * (several + single) / num_cells, reason)

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        """What suits the pictures of all cells together; all pictures of 95 of 100 cells, up to 16."""
        lists = [members for cell in cells if (members := _members(cell)) is not None]
        settings: dict[str, Any] = registry.load("modalities", "image").suggest(
            [picture for members in lists for picture in members], limits
        )
        if lists:
            settings["max_pictures"] = int(
                np.clip(np.ceil(np.percentile([len(members) for members in lists], 95)), 1, 16)
            )
        return settings

    def read(self, cell: object) -> UInt8[np.ndarray, "P 3 H W"]:
        return pictures.stack(self._pictures(cell))

    def note(self, cell: object) -> str | None:
        """That not all pictures of a cell are kept."""
        most = self.config.max_pictures
        return f"cut to {most} pictures" if len(_members(cell) or ()) > most else None

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """`median_pictures`."""
        counts = [len(array) for array in arrays]
        return {"median_pictures": float(np.median(counts)) if counts else 0.0}

    def augment(self, array: np.ndarray, rng: np.random.Generator) -> UInt8[np.ndarray, "P 3 H W"]:
        """Every picture varied by itself."""
        return pictures.stack([self.picture.augment(picture, rng) for picture in pictures.unstack(array)])

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """UInt8 "B P 3 H W", black after a cell's last picture; lengths in pictures."""
        return pad(arrays, torch.uint8, element=(3, self.size, self.size))

    def handcrafted_features(self, arrays: Sequence[np.ndarray | None]) -> Float[np.ndarray, "B F"]:
        """The mean of the pictures' own handcrafted features; NaN where the cell is missing."""
        rows = []
        for array in arrays:
            members = [None] if array is None else pictures.unstack(array)
            rows.append(self.picture.handcrafted_features(members).mean(axis=0))
        return np.array(rows)

    def preview(self, cell: object) -> str:
        """Up to six of the pictures, from left to right."""
        return previews.strip(self._pictures(cell)[:_PREVIEW_PICTURES], note="several pictures")

    def _pictures(self, cell: object) -> list[np.ndarray]:
        """Uint8 [size, size, 3] each."""
        members = _members(cell)
        if members is None:
            raise UnreadableCellError(f"not a list of pictures: a cell of type {type(cell).__name__}")
        if not len(members):
            raise UnreadableCellError("empty: it lists no picture")
        read = []
        for place, member in enumerate(members):  # also those that are not kept: an unreadable one is named
            try:
                read.append(self.picture.read(member))
            except UnreadableCellError as error:
                reason = str(error) if len(members) == 1 else f"picture {place + 1} of {len(members)}: {error}"
                raise UnreadableCellError(reason, member=place) from error
        return read[: self.config.max_pictures]


def _members(cell: object) -> Sequence[object] | None:
    """The pictures of a cell as it is opened; None where it is no list of pictures."""
    if isinstance(cell, bytes):
        return [cell]
    if isinstance(cell, np.ndarray):
        return list(cell) if cell.ndim == 4 else None
    return cell if isinstance(cell, list | tuple) else None


def _is_picture(head: bytes | None) -> bool:
    found = formats.sniff(head) if head else None
    return found is not None and found in pictures.FORMATS
