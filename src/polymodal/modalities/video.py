"""Videos: clips in any common format, decoded to a few frames of one square size, evenly sampled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from pydantic import Field

from polymodal import registry
from polymodal.codecs import clips, fingerprints, pictures, previews
from polymodal.codecs import sniffing as formats
from polymodal.codecs.containers import DEMUXERS
from polymodal.codecs.padding import pad
from polymodal.codecs.recognition import recognise_media
from polymodal.config.node import settings
from polymodal.config.run_config import LimitsConfig
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality, Recognition, Sample
from polymodal.types import Cells

_FORMATS = set(DEMUXERS) - {formats.AAC}
_GRID = 12  # handcrafted features: so many mean grey levels along each side
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_PREVIEW_FRAMES = 6


@settings
class VideoConfig:
    """Settings of a video column.

    Attributes:
        size: side of the square, in pixels, at which frames are stored and enter the encoder.
        max_frames: of a video with more frames, so many are kept, spread evenly over it.
        clip_seconds: length of a typical clip, by which encoders say how long a token lasts; nothing is cut to it.
        fit: how a frame becomes a square, as for images: `pad`, `crop` or `stretch`.
        max_pixels: a video of larger frames is refused before it is decoded.
        limit_seconds: a longer video is refused before it is decoded.
        rotate: in training, rotation by up to so many degrees either way; all frames of a clip alike, here and below.
        scale: enlarged or reduced by up to this share.
        shift: moved along each axis by up to this share of the side.
        flip: probability of swapping left and right; 0 is right where that changes the meaning (gestures, turns).
        colour: brightness, contrast and saturation each change by up to this share.
    """

    size: Annotated[int, Field(ge=8, le=1_024)] = 64
    max_frames: Annotated[int, Field(ge=1, le=1_024)] = 16
    clip_seconds: Annotated[float, Field(gt=0)] | None = None
    fit: Literal["pad", "crop", "stretch"] = "pad"
    max_pixels: Annotated[int, Field(ge=1)] = 50_000_000
    limit_seconds: Annotated[float, Field(gt=0)] = 600.0
    rotate: Annotated[float, Field(ge=0, le=180)] = 10.0
    scale: Annotated[float, Field(ge=0, lt=1)] = 0.1
    shift: Annotated[float, Field(ge=0, lt=1)] = 0.05
    flip: Annotated[float, Field(ge=0, le=1)] = 0.0
    colour: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Video(Modality):
    """Reads MP4 (MOV, M4V, 3GP), Matroska, WebM, AVI, FLV, Ogg and GIF, known by content, and arrays.

    Gives uint8 [T, 3, H, W].

    One rule for every video, in training and in serving: its frames are counted, whatever the header says; up to
    `max_frames` of them are kept, evenly spread, the first among them; each is turned and mirrored as players do, and
    made a picture as a cell of an image column is. Sound is not read. Arrays are [T, H, W, 3] of uint8. A file that
    ends too soon, or holds a frame that cannot be decoded whole, is unreadable: no part of a video is ever made up.

    Files need the extra `video`; without it the first of them is an error, not a reject.
    """

    Config: ClassVar[type] = VideoConfig
    media: ClassVar[bool] = True
    near: ClassVar[float] = 0.97

    def __init__(self, config: VideoConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        self.size = config.size
        image = registry.load("modalities", "image")
        same = {
            field.name: getattr(config, field.name) for field in fields(image.Config) if hasattr(config, field.name)
        }
        self.picture: Modality = image(image.Config(**same))
        frames = (statistics or {}).get("median_frames")
        # How long a kept frame lasts in a typical clip; None where that is not known.
        self.frame_seconds = config.clip_seconds / frames if config.clip_seconds and frames else None

    @classmethod
    def examples(cls) -> list[object]:
        rng = np.random.default_rng(0)
        return [rng.integers(0, 256, (length, 20, 24, 3), dtype=np.uint8) for length in (3, 1, 5, 2, 17, 4)]

    @classmethod
    def recognise(cls, sample: Sample) -> Recognition | None:
        """From half of the cells on: files or bytes that start as a video, a GIF that moves, or arrays of frames."""
        num_arrays = sum(isinstance(value, np.ndarray) and _is_clip(value) for value in sample.values)
        return recognise_media(sample, "video", _FORMATS, num_arrays=num_arrays, arrays="frames")

    @classmethod
    def suggest(cls, cells: Sequence[object], limits: LimitsConfig) -> dict[str, Any]:
        """Two thirds of the frames' longer side, a multiple of 16 from 32 to 64; the median length; limits."""
        measured = [found for cell in cells if (found := _measure(cell)) is not None]
        settings: dict[str, Any] = {"max_pixels": limits.pixels, "limit_seconds": limits.seconds}
        if measured:
            side = float(np.median([max(found.width, found.height) for found in measured])) * 2 / 3
            settings["size"] = int(np.clip(math.ceil(side / 16) * 16, 32, 64))
        if seconds := [found.seconds for found in measured if found.seconds]:
            settings["clip_seconds"] = float(np.median(seconds))
        return settings

    def read(self, cell: object) -> UInt8[np.ndarray, "T 3 H W"]:
        return pictures.stack(self._frames(cell))

    def note(self, cell: object) -> str | None:
        """That not all frames are kept, by the number that the header says."""
        found, most = _measure(cell), self.config.max_frames
        return f"thinned to {most} frames" if found is not None and (found.frames or 0) > most else None

    def fit(self, arrays: Iterable[np.ndarray]) -> dict[str, Any]:
        """`median_frames`."""
        counts = [len(array) for array in arrays]
        return {"median_frames": float(np.median(counts)) if counts else 0.0}

    def augment(self, array: np.ndarray, rng: np.random.Generator) -> UInt8[np.ndarray, "T 3 H W"]:
        """Every frame varied as a picture is, all of them alike."""
        seed = int(rng.integers(2**63))
        frames = pictures.unstack(array)
        return pictures.stack([self.picture.augment(frame, np.random.default_rng(seed)) for frame in frames])

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """UInt8 "B T 3 H W", black after a clip's end; lengths in frames."""
        return pad(arrays, torch.uint8, element=(3, self.size, self.size))

    def handcrafted_features(self, arrays: Sequence[np.ndarray | None]) -> Float[np.ndarray, "B F"]:
        """The first, last and mean frame and the mean change between frames, each of 12 x 12 grey levels in [0, 1]."""
        rows = [np.full(4 * _GRID**2, np.nan) if array is None else _summary(array) for array in arrays]
        return np.array(rows).reshape(-1, 4 * _GRID**2)

    def measures(self, array: np.ndarray) -> dict[str, float]:
        """Frames that are kept; brightness, and mean change from one to the next, 0 to 255."""
        moves = np.abs(np.diff(array.astype(np.float32), axis=0))
        return {
            "frames": float(len(array)),
            "brightness": float(array.mean()),
            "movement": float(moves.mean()) if moves.size else 0.0,
        }

    def fingerprints(self, arrays: Sequence[np.ndarray]) -> Float32[np.ndarray, "B F"]:
        """Those of the first, the middle and the last frame, side by side."""
        rows = []
        for array in arrays:
            frames = pictures.unstack(array[[0, len(array) // 2, -1]])
            rows.append(np.concatenate([fingerprints.picture(frame) for frame in frames]))
        return np.stack(rows) / np.float32(math.sqrt(3))

    def preview(self, cell: object) -> str:
        """Up to six of its frames, from left to right."""
        frames = list(self._frames(cell))
        shown = [frames[place] for place in clips.spread(len(frames), _PREVIEW_FRAMES)]
        return previews.strip(shown, note=f"{len(shown)} frames")

    def _frames(self, cell: object) -> Sequence[np.ndarray]:
        """Uint8 [size, size, 3] each."""
        config = self.config
        if isinstance(cell, np.ndarray):
            if not _is_clip(cell):
                raise UnreadableCellError(
                    f"not a video: an array of {cell.dtype} and shape {cell.shape}; expected [T, H, W, 3] of uint8"
                )
            return [self.picture.read(cell[place]) for place in clips.spread(len(cell), config.max_frames)]
        if not isinstance(cell, bytes):
            raise UnreadableCellError(f"not a video: a cell of type {type(cell).__name__}")
        if formats.sniff(cell) not in _FORMATS:
            raise UnreadableCellError(f"not a video: {formats.describe(cell)}")
        return clips.read_frames(
            cell,
            max_frames=config.max_frames,
            max_pixels=config.max_pixels,
            limit_seconds=config.limit_seconds,
            shrink=self.picture.read,
        )


def _measure(cell: object) -> clips.VideoHeader | None:
    """Size and length of a clip by its header; None where it is none."""
    if isinstance(cell, np.ndarray) and _is_clip(cell):
        return clips.VideoHeader(cell.shape[2], cell.shape[1], None, len(cell))
    if isinstance(cell, bytes) and formats.sniff(cell) in _FORMATS:
        return clips.measure(cell)
    return None


def _is_clip(array: np.ndarray) -> bool:
    return array.ndim == 4 and array.shape[3] == 3 and array.dtype == np.uint8 and array.size > 0


def _summary(array: np.ndarray) -> np.ndarray:
    """Handcrafted features of one clip."""
    grey = np.tensordot(array.transpose(0, 2, 3, 1) / 255, _LUMA, axes=1)  # T H W
    edges = np.linspace(0, grey.shape[1], _GRID + 1).astype(int)[:-1]
    widths = np.diff(np.append(edges, grey.shape[1]))
    small = np.add.reduceat(np.add.reduceat(grey, edges, axis=1), edges, axis=2) / np.outer(widths, widths)
    change = np.abs(np.diff(small, axis=0)).mean(axis=0) if len(small) > 1 else np.zeros_like(small[0])
    return np.concatenate([part.ravel() for part in (small[0], small[-1], small.mean(axis=0), change)])
