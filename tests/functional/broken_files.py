"""Some hundred broken media files, always the same ones, made from good ones of every format.

Run as a program on a table that holds them, it reads them as `train` does and prints what came of it.
"""

from __future__ import annotations

import io
import json
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image, features

SECONDS = 10.0  # one file may take so long
_RATE = 8_000


@dataclass(frozen=True)
class GoodFile:
    """A file that can be read, and the column whose modality reads it."""

    name: str
    ending: str
    column: str
    content: bytes


@dataclass(frozen=True)
class BrokenFile:
    """`outcome` is what must come of it: `reject`, `read`, or `either`, where damage may leave a valid file."""

    name: str
    column: str
    content: bytes
    outcome: str


def good_files() -> list[GoodFile]:
    """One of each kind that differs in how it is read; another format is one more line."""
    return [
        _picture("baseline", "jpg", "JPEG"),
        _picture("progressive", "jpg", "JPEG", progressive=True),
        _picture("plain", "png", "PNG"),
        _picture("lossy", "webp", "WEBP"),
        _picture("lossless", "webp", "WEBP", lossless=True),
        _picture("plain", "gif", "GIF"),
        _picture("plain", "bmp", "BMP"),
        _picture("raw", "tif", "TIFF"),
        _picture("lzw", "tif", "TIFF", compression="tiff_lzw"),
        _picture("raw", "ppm", "PPM"),
        _picture("lossless", "jp2", "JPEG2000"),
        *([_picture("av1", "avif", "AVIF")] if features.check("avif") else []),
        _sound("pcm", "wav", "WAV", "PCM_16"),
        _sound("float", "wav", "WAV", "FLOAT"),
        _sound("pcm", "aiff", "AIFF", "PCM_16"),
        _sound("pcm", "au", "AU", "PCM_16"),
        _sound("plain", "flac", "FLAC", "PCM_16"),
        _sound("vorbis", "ogg", "OGG", "VORBIS"),
        _sound("opus", "opus", "OGG", "OPUS"),
        _sound("layer 3", "mp3", "MP3", "MPEG_LAYER_III"),
        _contained("aac", "m4a", "ipod", "aac"),
        _clip("h264", "mp4", "mp4", "libx264"),
        _clip("vp8", "webm", "webm", "libvpx"),
        _clip("mpeg 4", "avi", "avi", "mpeg4"),
        _clip("sorenson", "flv", "flv", "flv"),
        _clip("moving", "gif", "gif", "gif", pixels="rgb8"),
    ]


def broken_files(goods: Sequence[GoodFile]) -> list[BrokenFile]:
    """Every good file cut, changed, with another's head and under another's name; and content of other kinds."""
    broken = []
    for place, good in enumerate(goods):
        rng = np.random.default_rng(place)
        other = next(file for file in (*goods[place + 1 :], *goods) if file.ending != good.ending)
        for how, content, outcome in _spoilt(good.content, other.content, rng):
            broken.append(BrokenFile(f"{good.name} {how}.{good.ending}", good.column, content, outcome))
        broken.append(BrokenFile(f"{good.name} {good.ending} named.{other.ending}", good.column, good.content, "read"))
    for column in dict.fromkeys(good.column for good in goods):
        foreign = next(good for good in goods if good.column != column)
        for name, content in (*_FOREIGN, (f"{foreign.ending}", foreign.content)):
            broken.append(BrokenFile(f"{name} as {column}.bin", column, content, "reject"))
    return broken


def _spoilt(content: bytes, other: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes, str]]:
    length = len(content)
    for kept in (1, 4, 12, 40, length // 4, length // 2, 3 * length // 4, length - 20, length - 2, length - 1):
        yield f"cut to {kept}", content[:kept], "reject"
    for place in sorted(rng.choice(length, 8, replace=False).tolist()):
        bit = int(rng.integers(8))
        changed = bytes([content[place] ^ 1 << bit])
        yield f"bit {bit} of {place}", content[:place] + changed + content[place + 1 :], "either"
    for start in (4, 16, 24, 40, length // 2):
        for byte in (0, 255):
            yield f"{byte} at {start}", content[:start] + bytes([byte]) * 8 + content[start + 8 :], "either"
    yield "without a head", bytes(16) + content[16:], "reject"
    yield "with a head of another kind", other[:16] + content[16:], "either"
    yield "in upper case", content.upper(), "either"
    yield "as text", content.decode("latin-1").encode(), "either"
    yield "line ends changed", content.replace(b"\n", b"\r\n"), "either"
    yield "twice", content + content, "either"


_FOREIGN = (
    ("empty", b""),
    ("one byte", b"\xff"),
    ("zeros", bytes(1_000)),
    ("ones", b"\xff" * 1_000),
    ("random", np.random.default_rng(0).bytes(1_000)),
    ("web page", b"<!DOCTYPE html><html><title>404</title></html>"),
    ("drawing", b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>'),
    ("document", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<<>>\nendobj\n"),
    ("script", b"%!PS-Adobe-3.0\n(%pipe%id) (r) file\n"),
    ("archive", b"PK\x03\x04" + bytes(200)),
    ("program", b"\x7fELF\x02\x01\x01" + bytes(200)),
    ("pickle", b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."),
    ("playlist", b"#EXTM3U\n#EXT-X-TARGETDURATION:10\nfile:///etc/passwd\n"),
    ("list", b"ffconcat version 1.0\nfile /etc/passwd\n"),
    ("pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    ("record", b'{"a": 1}'),
    ("words", "just some words, größer".encode()),
)


def _picture(name: str, ending: str, format_: str, **options: object) -> GoodFile:
    pixels = np.random.default_rng(7).integers(0, 255, (36, 40, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format_, **options)  # type: ignore[arg-type]  # options differ by format
    return GoodFile(name, ending, "photo", file.getvalue())


def _sound(name: str, ending: str, format_: str, subtype: str) -> GoodFile:
    noise = np.random.default_rng(8).normal(0, 0.1, _RATE)
    file = io.BytesIO()
    soundfile.write(file, noise, _RATE, format=format_, subtype=subtype)
    return GoodFile(name, ending, "sound", file.getvalue())


def _contained(name: str, ending: str, container: str, codec: str) -> GoodFile:
    noise = np.random.default_rng(9).normal(0, 0.1, (1, _RATE)).astype(np.float32)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as writer:
        stream = writer.add_stream(codec, rate=_RATE, layout="mono")
        for start in range(0, _RATE, _RATE // 8):
            frame = av.AudioFrame.from_ndarray(noise[:, start : start + _RATE // 8], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = _RATE, start
            writer.mux(stream.encode(frame))
        writer.mux(stream.encode(None))
    return GoodFile(name, ending, "sound", file.getvalue())


def _clip(name: str, ending: str, container: str, codec: str, *, pixels: str = "yuv420p") -> GoodFile:
    rng = np.random.default_rng(10)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as writer:
        stream = writer.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 48, 32, pixels
        for _ in range(6):
            picture = rng.integers(0, 255, (32, 48, 3), dtype=np.uint8)
            writer.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        writer.mux(stream.encode(None))
    return GoodFile(name, ending, "clip", file.getvalue())


def _watched(read: Callable[..., object], taken: list[float]) -> Callable[..., object]:
    """Measures every call; one that does not end ends the process, which names it."""

    def watched(modality: object, content: object) -> object:
        words = f"{len(content)} bytes: {content[:80]!r}" if isinstance(content, bytes) else "an array"
        alarm = threading.Timer(SECONDS, lambda: (print(f"HANGS: {words}", file=sys.stderr, flush=True), os._exit(3)))
        alarm.daemon = True
        alarm.start()
        start = time.perf_counter()
        try:
            return read(modality, content)
        finally:
            taken.append(time.perf_counter() - start)
            alarm.cancel()

    return watched


def main(path: Path) -> None:
    """Prepares the table's columns, each of the modality that its name stands for."""
    from polymodal import registry
    from polymodal.config.run_config import LimitsConfig
    from polymodal.data.cells.prepare import prepare
    from polymodal.data.tables.table import read_table
    from polymodal.schema import Column

    kinds = {"photo": "image", "sound": "audio", "clip": "video"}
    table, taken = read_table(path), []
    columns = []
    for name in (name for name in table.names if name in kinds):
        modality = registry.load("modalities", kinds[name])
        modality.read = _watched(modality.read, taken)
        columns.append(Column(name=name, kind=kinds[name], modality=kinds[name], reason=""))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    prepared = prepare(table, columns, limits=LimitsConfig(), bad_cells="missing")
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = {
        "rejects": [[r.row, r.column, r.file, r.reason] for r in prepared.rejects],
        "kept": {name: np.flatnonzero(store.present).tolist() for name, store in prepared.stores.items()},
        "slowest": max(taken),
        "memory": (after - before) * 1024,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
