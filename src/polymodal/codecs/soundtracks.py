"""Sound inside of containers: m4a, and the sound of MP4, Matroska, WebM and AVI."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from polymodal.codecs import containers
from polymodal.codecs.limits import check_rate, check_seconds
from polymodal.errors import UnreadableCellError


@dataclass(frozen=True)
class SoundHeader:
    """What a header says of a sound.

    Attributes:
        seconds: None where it does not say.
    """

    rate: int
    channels: int
    seconds: float | None


def measure(content: bytes) -> SoundHeader | None:
    """By the header alone; None where that cannot be read.

    Raises:
        MissingExtraError: PyAV is not installed.
    """
    try:
        with containers.opened(content, "audio") as (container, stream):
            return SoundHeader(stream.rate, stream.channels, containers.stated_seconds(container, stream))
    except UnreadableCellError:
        return None


def read_sound(content: bytes, *, max_seconds: float, limit_seconds: float) -> tuple[Float32[np.ndarray, " S"], int]:
    """The mean of the channels, in [-1, 1], and its rate: `max_seconds` of it.

    Args:
        content: of a file whose format is one of `containers.DEMUXERS`.
        max_seconds: more is not kept.
        limit_seconds: a longer sound is refused before it is decoded.

    Raises:
        UnreadableCellError: damaged, truncated, without sound, or beyond a limit.
        MissingExtraError: PyAV is not installed.
    """
    with containers.opened(content, "audio") as (container, stream):
        rate = stream.rate
        check_rate(rate)
        check_seconds(containers.packets(container, stream).seconds, limit_seconds)
    av = containers.load_av("Reading sound in containers")
    keep = math.ceil(max_seconds * rate)
    blocks, num_samples = [np.zeros(0, np.float32)], 0
    with containers.opened(content, "audio") as (container, stream):
        plain = av.AudioResampler(format="fltp")  # sample format alone: channels and rate stay
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise UnreadableCellError("damaged: a part of it cannot be decoded")
            if frame.sample_rate != rate:
                raise UnreadableCellError("its sample rate changes midway")
            for part in plain.resample(frame):
                block = part.to_ndarray()[:, : keep - num_samples].mean(axis=0)
                blocks.append(block)
                num_samples += len(block)
            if num_samples >= keep:
                break
    return np.concatenate(blocks), rate
