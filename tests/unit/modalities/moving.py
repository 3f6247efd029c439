"""Small videos and recordings in containers, encoded on the spot."""

from __future__ import annotations

import io

import av
import numpy as np

RATE = 16_000
VIDEOS = [
    ("mp4", "libx264", "yuv420p"),
    ("mov", "mpeg4", "yuv420p"),
    ("matroska", "libx264", "yuv420p"),
    ("webm", "libvpx", "yuv420p"),
    ("webm", "libvpx-vp9", "yuv420p"),
    ("avi", "mpeg4", "yuv420p"),
    ("avi", "mjpeg", "yuvj420p"),
    ("flv", "flv", "yuv420p"),
    ("flv", "libx264", "yuv420p"),
    ("gif", "gif", "rgb8"),
]


def frames(count: int, height: int = 24, width: int = 32) -> np.ndarray:
    """[T, H, W, 3]: grey that becomes lighter, and a bright bar at the left that grows from frame to frame."""
    pixels = np.zeros((count, height, width, 3), np.uint8)
    for number in range(count):
        pixels[number] = 100 * number // max(count - 1, 1)
        pixels[number, :, : 8 + (width - 16) * number // max(count - 1, 1)] = 220
    return pixels


def clip(kind="mp4", codec="libx264", pixel_format="yuv420p", *, pixels=None, sound=None, rate=10, options=None):
    """A file of frames at so many a second, with sound as long where a codec for it is given."""
    pixels = frames(5) if pixels is None else pixels
    file = io.BytesIO()
    with av.open(file, "w", format=kind, options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = pixels.shape[2], pixels.shape[1], pixel_format
        track = (
            container.add_stream(sound, rate=48_000 if sound == "libopus" else RATE, layout="mono") if sound else None
        )
        for number, picture in enumerate(pixels):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if track is not None:
            _add_sound(container, track, len(pixels) / rate)
    return file.getvalue()


def recording(kind="ipod", codec="aac", *, seconds=0.5, layout="mono", options=None):
    """A file of sound alone: by default an m4a of a 440 Hz sine."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind, options=options or {}) as container:
        track = container.add_stream(codec, rate=48_000 if codec == "libopus" else RATE, layout=layout)
        _add_sound(container, track, seconds)
    return file.getvalue()


def sine(seconds: float) -> np.ndarray:
    return 0.4 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * RATE)) / RATE)


def _add_sound(container, track, seconds):
    samples = sine(seconds).astype(np.float32)[None]
    channels = len(track.layout.channels)
    frame = av.AudioFrame.from_ndarray(np.repeat(samples, channels, axis=0), format="fltp", layout=track.layout.name)
    frame.sample_rate = RATE
    container.mux(track.encode(frame))
    container.mux(track.encode(None))
