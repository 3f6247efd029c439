"""Videos of every container, evenly thinned, upright; what is broken, endless or no video is refused."""

from __future__ import annotations

import io
import socket
import struct
import sys

import numpy as np
import pytest
from moving import VIDEOS, clip, frames
from PIL import Image as Pillow

from polymodal.codecs import clips
from polymodal.config.run_config import LimitsConfig
from polymodal.errors import MissingExtraError, UnreadableCellError
from polymodal.modalities.image import Image
from polymodal.modalities.video import Video, VideoConfig
from polymodal.protocols import Sample


def read(cell, size=16, **settings):
    return Video(VideoConfig(size=size, **settings)).read(cell)


def refuses(cell, reason, **settings):
    with pytest.raises(UnreadableCellError, match=reason):
        read(cell, **settings)


def gif(count, **options):
    pictures = [Pillow.fromarray(picture) for picture in frames(count)]
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], **options)
    return file.getvalue()


# --- what is read ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "codec", "pixel_format"), VIDEOS)
def test_every_container_gives_its_frames_in_order(kind, codec, pixel_format):
    array = read(clip(kind, codec, pixel_format), size=32, fit="stretch")
    expected = np.stack([Image(Image.Config(size=32, fit="stretch")).read(frame) for frame in frames(5)])
    assert (array.dtype, array.shape) == (np.uint8, (5, 3, 32, 32))
    difference = np.abs(array.astype(int) - expected.transpose(0, 3, 1, 2))
    assert difference.mean() < (22 if pixel_format == "rgb8" else 8)  # rgb8 has 4 blues
    with_next = np.abs(array[:-1].astype(int) - expected[1:].transpose(0, 3, 1, 2))
    assert with_next.mean() > difference.mean()


def test_frames_are_read_as_pictures_are():
    pixels = frames(3)
    expected = np.stack([Image(Image.Config(size=16)).read(frame).transpose(2, 0, 1) for frame in pixels])
    np.testing.assert_array_equal(read(pixels), expected)


@pytest.mark.parametrize(("count", "most"), [(3, 4), (4, 4), (5, 4), (16, 4), (17, 4), (67, 4), (67, 1)])
def test_frames_are_kept_evenly(count, most):
    got = list(clips._evenly(iter(range(count)), most, lambda number: number))
    assert len(got) == min(count, most)
    assert got[0] == 0
    ideal = np.linspace(0, count - 1, min(count, most))
    assert np.abs(np.array(got) - ideal).max() <= max(0.5, count / (4 * most))


def test_few_frames_are_all_kept_and_many_are_thinned_and_told():
    file = clip(pixels=frames(40))
    video = Video(VideoConfig(size=16))
    assert len(video.read(file)) == 16
    assert video.note(file) == "thinned to 16 frames"
    assert video.note(clip()) is None


def test_of_a_long_video_key_frames_alone_are_decoded(monkeypatch):
    pixels = np.repeat(np.linspace(0, 250, 60).astype(np.uint8), 10)[:, None, None, None] * np.ones(
        (1, 16, 16, 3), "u1"
    )
    file = clip(pixels=pixels, options={"x264-params": "keyint=10:scenecut=0"})
    decoded = []
    original = clips._pixels
    monkeypatch.setattr(clips, "_pixels", lambda frame: decoded.append(1) or original(frame))
    levels = read(file, max_frames=6).mean(axis=(1, 2, 3))
    assert len(decoded) == 6
    np.testing.assert_allclose(levels, np.linspace(0, 250, 6), atol=6)


def test_a_recording_held_upright_is_read_upright():
    file = bytearray(clip(pixels=frames(2)))
    box = file.find(b"tkhd") + 4
    matrix = box + 4 + (32 if file[box] else 20) + 16  # version 0 or 1; layer, group, volume
    assert struct.unpack(">9i", file[matrix : matrix + 36])[0] == 65_536
    # [a b; c d] of ISO/IEC 14496-12, 8.3.2: x' = -y, y' = x, a quarter turn clockwise
    file[matrix : matrix + 36] = struct.pack(">9i", 0, 65_536, 0, -65_536, 0, 0, 0, 0, 1 << 30)
    plain, turned = (read(bytes(content), size=32, fit="stretch") for content in (clip(pixels=frames(2)), file))
    clockwise = np.rot90(plain, -1, axes=(2, 3))
    assert np.abs(turned.astype(int) - clockwise).mean() < 2
    assert np.abs(turned.astype(int) - plain).mean() > 20


def test_a_moving_gif_shows_every_frame_and_transparency_is_white():
    pictures = []
    for left in (2, 6):
        picture = Pillow.new("RGBA", (16, 16), (0, 0, 0, 0))
        picture.paste((255, 0, 0, 255), (left, 4, left + 4, 12))
        pictures.append(picture)
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], disposal=2, duration=100)
    array = read(file.getvalue())
    red, white = [255, 0, 0], [255, 255, 255]
    assert array[:, :, 8, 3].tolist() == [red, white]
    assert array[:, :, 8, 8].tolist() == [white, red]


# --- what is not -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "codec", "pixel_format"), VIDEOS)
def test_a_truncated_video_is_refused_wherever_it_ends(kind, codec, pixel_format):
    content = clip(kind, codec, pixel_format)
    for end in {*range(12, len(content), len(content) // 25), len(content) - 1}:
        refuses(content[:end], "truncated|damaged|not a video|empty|no pictures|coding")


@pytest.mark.parametrize(("kind", "codec", "pixel_format"), VIDEOS)
def test_flipped_bits_never_do_worse_than_a_reject(kind, codec, pixel_format):
    content, rng = clip(kind, codec, pixel_format), np.random.default_rng(0)
    video = Video(VideoConfig(size=16))
    for _ in range(25):
        flipped = bytearray(content)
        for place in rng.integers(12, len(content), 8):
            flipped[place] ^= 1 << int(rng.integers(8))
        try:
            assert len(video.read(bytes(flipped))) > 0
            video.note(bytes(flipped))
        except UnreadableCellError:
            pass


def test_a_stream_without_a_length_is_refused_where_a_frame_is_cut():
    noise = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8)
    content = clip("matroska", "mjpeg", "yuvj420p", pixels=noise, options={"live": "1"})
    assert len(read(content)) == 5
    last = content.rfind(b"\xff\xd8")
    for end in range(last + 100, content.rfind(b"\xff\xd9"), 200):
        refuses(content[:end], "truncated|damaged")


def test_titles_that_are_no_text_do_no_harm():
    content = clip()
    assert content.count(b"Lavf") == 1
    assert len(read(content.replace(b"Lavf", b"L\xffvf"))) == 5


def test_a_video_without_a_frame():
    file = bytearray(clip("avi", "mjpeg", "yuvj420p"))
    file[file.find(b"movi") + 4 :] = b""
    for name, place in ((b"RIFF", 0), (b"LIST", file.find(b"movi") - 8)):
        assert file[place : place + 4] == name
        file[place + 4 : place + 8] = struct.pack("<I", len(file) - place - 8)
    refuses(bytes(file), "empty: it holds no frames")
    refuses(np.zeros((0, 16, 16, 3), np.uint8), "not a video")


def test_a_length_that_is_missing_or_wrong_is_not_believed():
    live = clip("matroska", options={"live": "1"})
    assert len(read(live)) == 5
    content = clip()
    for stated in (0, 1, 2**31):  # milliseconds in mvhd: none, far too short, 24 days
        file = bytearray(content)
        place = file.find(b"mvhd") + 20
        file[place : place + 4] = struct.pack(">I", stated)
        assert len(read(bytes(file))) == 5


def test_too_long_or_too_large_is_refused_before_decoding(monkeypatch):
    monkeypatch.setattr(clips, "_frames", lambda *_: pytest.fail("decoded"))
    refuses(clip(rate=1), "too long: 5 seconds, at most 2 are let in", limit_seconds=2.0)
    refuses(clip(), "too large: 32 x 24 pixels, at most 700 are let in", max_pixels=700)
    monkeypatch.setattr(clips, "_MOST_WORK", 1_000)
    refuses(clip(), "too much to decode")


def test_frames_that_grow_midway_are_refused():
    small, large = clip("avi", "mjpeg", "yuvj420p"), clip("avi", "mjpeg", "yuvj420p", pixels=frames(5, 480, 640))
    last, jpeg = small.rfind(b"\xff\xd8"), large[large.rfind(b"\xff\xd8") - 4 : large.rfind(b"\xff\xd9") + 2]
    spliced = bytearray(small[: last - 4] + jpeg)
    spliced[last - 4 : last] = struct.pack("<I", len(jpeg) - 4)
    spliced += b"\0" * (len(spliced) % 2)
    for place in (0, spliced.find(b"movi") - 8):
        spliced[place + 4 : place + 8] = struct.pack("<I", len(spliced) - place - 8)
    assert len(read(bytes(spliced))) == 5
    refuses(bytes(spliced), "damaged AVI file", max_pixels=10_000)


PLAYLISTS = {
    "an M3U8 playlist": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n",
    "an FFmpeg concat list": "ffconcat version 1.0\nfile 'http://127.0.0.1:{port}/a.mp4'\n",
    "an SDP session": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
    "SVG": "<svg xmlns='http://www.w3.org/2000/svg'><image href='http://127.0.0.1:{port}/a.png'/></svg>",
    "PostScript": "%!PS-Adobe-3.0\n(http://127.0.0.1:{port}) run\n",
}


@pytest.mark.parametrize("name", PLAYLISTS)
def test_what_refers_to_something_else_opens_nothing(name):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        content = PLAYLISTS[name].format(port=server.getsockname()[1]).encode()
        refuses(content, f"not a video: looks like {name}")
        # the same behind the first bytes of an MP4: the demuxer is the one of MP4, whatever follows
        refuses(struct.pack(">I", 16) + b"ftypisom\0\0\0\0" + content, "damaged|truncated")
        with pytest.raises(TimeoutError):
            server.accept()


def test_sound_alone_is_no_video():
    from moving import recording

    refuses(recording(), "an? MP4 file that holds no pictures")


def test_what_is_no_video():
    refuses(b"<html></html>", "not a video: looks like HTML")
    refuses(b"", "not a video: holds no bytes")
    refuses("a.mp4", "a cell of type str")
    refuses(np.zeros((4, 8, 8, 3)), "an array of float64")


def test_without_the_extra_the_first_video_is_an_error_and_no_reject(monkeypatch):
    content = clip()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"'polymodal\[video\]'"):
        read(content)
    with pytest.raises(MissingExtraError):
        Video.suggest([content], LimitsConfig())


# --- learning --------------------------------------------------------------------------------------------------------


def test_all_frames_are_varied_alike():
    video = Video(VideoConfig(size=16, flip=0.5))
    still = np.repeat(video.read(frames(1)), 4, axis=0)
    varied = video.augment(still, np.random.default_rng(0))
    assert (varied != still).any()
    for frame in varied[1:]:
        np.testing.assert_array_equal(frame, varied[0])


def test_simple_features_tell_order_and_movement():
    video = Video(VideoConfig(size=24))
    forwards = video.read(frames(4, 24, 24))
    there, back, still = video.handcrafted_features([forwards, forwards[::-1], np.repeat(forwards[:1], 4, axis=0)])
    first, last, mean, change = np.split(there, 4)
    np.testing.assert_allclose(np.split(back, 4), [last, first, mean, change])
    assert change.mean() > 0.05
    assert not np.split(still, 4)[3].any()
    weights = np.array([0.299, 0.587, 0.114])  # BT.601
    grey = np.tensordot(weights, forwards[0] / 255, axes=1)
    np.testing.assert_allclose(first.reshape(12, 12), grey.reshape(12, 2, 12, 2).mean(axis=(1, 3)))


def test_suggestions_fit_the_clips():
    suggested = Video.suggest([clip(), clip(pixels=frames(5, 96, 96)), clip(pixels=frames(5, 96, 96))], LimitsConfig())
    assert suggested == {"size": 64, "clip_seconds": 0.5, "max_pixels": 50_000_000, "limit_seconds": 600.0}
    assert Video.suggest([b"no video", None], LimitsConfig()).keys() == {"max_pixels", "limit_seconds"}


def test_a_frame_lasts_as_long_as_in_a_typical_clip():
    config = VideoConfig(size=16, clip_seconds=2.0)
    video = Video(config)
    assert video.frame_seconds is None
    fitted = Video(config, video.fit([video.read(frames(count)) for count in (3, 8, 9)]))
    assert fitted.frame_seconds == 0.25


# --- recognition -----------------------------------------------------------------------------------------------------


def sample(files, values=None):
    values = ["name"] * len(files) if values is None else values
    return Sample(values, [file and file[:1_024] for file in files], len(values), len(values))


@pytest.mark.parametrize(("kind", "codec", "pixel_format"), VIDEOS)
def test_recognises_every_container(kind, codec, pixel_format):
    found = Video.recognise(sample([clip(kind, codec, pixel_format, sound="aac" if kind == "mp4" else None)]))
    assert found is not None
    assert found.confidence == 1.0


def test_a_gif_column_is_video_where_most_of_them_move():
    moving, still = gif(3, duration=100, loop=0), gif(1)
    mostly = sample([moving, moving, still])
    assert Video.recognise(mostly).reason == "2 of 3 sampled cells name files that start as GIF"
    assert Image.recognise(mostly) is None
    hardly = sample([moving, still, still])
    assert Video.recognise(hardly) is None
    assert Image.recognise(hardly) is not None
    assert Video.recognise(sample([gif(3, duration=100)])) is not None  # moves once


def test_recognises_arrays_of_frames_and_nothing_else():
    assert Video.recognise(sample([None], [frames(2)])) is not None
    for value in ("clip.mp4", np.zeros((4, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), 1.0):
        assert Video.recognise(sample([None], [value])) is None
    assert Video.recognise(sample([])) is None


# --- headers ---------------------------------------------------------------------------------------------------------


def with_matrix(content, a, b, c, d):
    """A video whose display matrix shows the pixel at (x, y) at (a x + c y, b x + d y) (ISO/IEC 14496-12, 6.2.2)."""
    place = content.index(struct.pack(">9i", 65_536, 0, 0, 0, 65_536, 0, 0, 0, 1 << 30), content.index(b"tkhd"))
    numbers = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    return content[:place] + numbers + content[place + 36 :]


@pytest.mark.parametrize(
    "matrix",
    [(1, 0, 0, 1), (-1, 0, 0, 1), (1, 0, 0, -1), (-1, 0, 0, -1),
     (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, -1, 0), (0, -1, -1, 0)],
)  # fmt: skip
def test_a_video_is_turned_and_mirrored_as_its_matrix_says(matrix):
    a, b, c, d = matrix
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (1, 3, 4, 3)), np.ones((1, 8, 8, 1))).astype(np.uint8)
    content = clip("mp4", "libx264", pixels=pixels)
    options = {"max_frames": 1, "max_pixels": 10_000, "limit_seconds": 60.0, "shrink": lambda frame: frame}
    (plain,), (shown,) = (clips.read_frames(one, **options) for one in (content, with_matrix(content, *matrix)))
    expected = np.zeros(plain.shape if a else plain.transpose(1, 0, 2).shape, np.uint8)
    height, width = expected.shape[:2]
    for y in range(plain.shape[0]):
        for x in range(plain.shape[1]):
            right, down = a * x + c * y, b * x + d * y
            expected[down if b + d > 0 else height - 1 + down, right if a + c > 0 else width - 1 + right] = plain[y, x]
    np.testing.assert_array_equal(shown, expected)


def from_a_pipe(content, length):
    """An AVI as a program leaves it that cannot go back: lengths and number of frames are placeholders, no index."""
    changed = bytearray(content[: content.index(b"idx1")])
    struct.pack_into("<I", changed, 4, length)
    struct.pack_into("<I", changed, content.index(b"movi") - 4, length)
    struct.pack_into("<I", changed, content.index(b"avih") + 8 + 16, 0)
    struct.pack_into("<I", changed, content.index(b"strh") + 8 + 32, 0x40000000)
    return bytes(changed)


@pytest.mark.parametrize("length", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_avi_of_unknown_length_goes_on_to_its_end(length):
    content = from_a_pipe(clip("avi", "mpeg4", pixels=frames(12)), length)
    np.testing.assert_array_equal(read(content), read(clip("avi", "mpeg4", pixels=frames(12))))
    assert "clip_seconds" not in Video.suggest([content], LimitsConfig())
    for cut in (1, 9, 40):
        with pytest.raises(UnreadableCellError, match="truncated"):
            read(content[:-cut])


@pytest.mark.parametrize("kind", ["mp4", "mov", "flv"])
def test_joined_files_are_not_the_first_alone(kind):
    content = clip(kind, "mpeg4" if kind == "mov" else "libx264")
    with pytest.raises(UnreadableCellError, match=r"joined|does not end"):
        read(content + content)


def test_what_is_no_format_of_ours_is_named_with_the_conversion():
    transport = b"".join(b"G" + bytes(187) for _ in range(8))
    with pytest.raises(UnreadableCellError, match=r"looks like MPEG-TS.*ffmpeg"):
        read(transport)
