"""Sound whose writer could not state its length is read to the end; a stated length that is not there is a reject."""

import io
import struct

import numpy as np
import pytest
import soundfile

from polymodal.codecs import sound_lengths
from polymodal.errors import UnreadableCellError
from polymodal.modalities.audio import Audio, AudioConfig

RATE, SAMPLES = 16_000, 8_000
PLACEHOLDERS = [0, 0x7F000000, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFDB, 0xFFFFFFFF]
KINDS = [
    ("WAV", "PCM_16", None), ("WAV", "PCM_24", None), ("WAV", "FLOAT", None), ("WAV", "PCM_16", "BIG"),
    ("RF64", "PCM_16", None),
    ("AIFF", "PCM_16", None), ("AIFF", "PCM_24", None), ("AIFF", "FLOAT", None), ("AIFF", "PCM_16", "LITTLE"),
    ("AU", "PCM_16", None), ("AU", "ULAW", None), ("AU", "PCM_16", "LITTLE"),
]  # fmt: skip


def encode(kind, subtype, endian, channels=2):
    file = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, (SAMPLES, channels))
    with soundfile.SoundFile(file, "w", RATE, channels, subtype, endian, kind) as writer:
        writer.write(noise)
    return file.getvalue()


def with_length(content, length):
    """The same file, with another length of the sound and of the whole."""
    changed, little = bytearray(content), content[:4] in {b"RIFF", b"RF64", b"dns."}
    order = "<" if little else ">"
    if content[:4] in {b".snd", b"dns."}:
        struct.pack_into(f"{order}I", changed, 8, length)
        return bytes(changed)
    struct.pack_into(f"{order}I", changed, 4, length)
    if content[:4] == b"FORM":
        struct.pack_into(">I", changed, content.index(b"SSND") + 4, length)
        struct.pack_into(">I", changed, content.index(b"COMM") + 10, 0 if length == 0 else length // 4)
    elif content[:4] == b"RF64":
        struct.pack_into("<I", changed, 4, 0xFFFFFFFF)
        struct.pack_into("<Q", changed, content.index(b"ds64") + 16, length)
    else:
        struct.pack_into(f"{order}I", changed, content.index(b"data") + 4, length)
    return bytes(changed)


def read(content):
    return Audio(AudioConfig(sample_rate=RATE)).read(content)


@pytest.mark.parametrize("length", PLACEHOLDERS)
@pytest.mark.parametrize(("kind", "subtype", "endian"), KINDS)
def test_a_placeholder_means_to_the_end(kind, subtype, endian, length):
    whole = encode(kind, subtype, endian)
    expected = soundfile.read(io.BytesIO(whole))[0].mean(axis=1) * 32_767
    array = read(with_length(whole, length))
    assert array.size == SAMPLES
    np.testing.assert_allclose(array, expected, atol=1)
    np.testing.assert_array_equal(array, read(whole))


@pytest.mark.parametrize(("kind", "subtype", "endian"), KINDS)
def test_a_length_that_is_stated_counts(kind, subtype, endian):
    whole = encode(kind, subtype, endian)
    for content in (whole[:-2], whole[:-4_000], with_length(whole, 2 * len(whole)), with_length(whole, 0x7F000100)):
        with pytest.raises(UnreadableCellError, match=r"truncated|damaged"):
            read(content)


@pytest.mark.parametrize(("kind", "subtype", "endian"), KINDS)
def test_cut_within_a_sample_though_no_length_is_stated(kind, subtype, endian):
    content = with_length(encode(kind, subtype, endian), 0xFFFFFFFF)
    with pytest.raises(UnreadableCellError, match="does not end with a whole sample"):
        read(content[:-1])


def test_no_sound_is_no_placeholder():
    empty = bytearray(encode("WAV", "PCM_16", None)[:44])
    struct.pack_into("<I", empty, 40, 0)
    for content in (bytes(empty), bytes(empty) + b"LIST\4\0\0\0INFO"):
        with pytest.raises(UnreadableCellError, match="empty"):
            read(content)


def test_recordings_joined_into_one_file_are_not_the_first_alone():
    for kind in (("WAV", "PCM_16", None), ("AIFF", "PCM_16", None), ("FLAC", "PCM_16", None), ("MP3", None, None)):
        content = encode(*kind)
        with pytest.raises(UnreadableCellError, match=r"joined|damaged"):
            read(content + content)


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU"])
def test_a_stated_length_that_leaves_out_sound_is_a_reject(kind):
    content = bytearray(encode(kind, "PCM_16", None))
    whole = len(content)
    order, place = {"WAV": ("<", content.find(b"data") + 4), "AIFF": (">", content.find(b"SSND") + 4), "AU": (">", 8)}[
        kind
    ]
    struct.pack_into(f"{order}I", content, place, 8_000)
    with pytest.raises(UnreadableCellError, match="states"):
        sound_lengths.completed(bytes(content))
    plain = encode(kind, "PCM_16", None)
    for behind in (b"TAG".ljust(2_000), bytes(5_000), b"xy"):
        assert sound_lengths.completed(plain + behind) == plain + behind
    if kind != "AU":
        chunk = b"LIST" + struct.pack(f"{order}I", 4_000) + b"\1" * 4_000
        assert sound_lengths.completed(plain + chunk) == plain + chunk
    assert whole == len(plain)
