"""DICOM, and pictures of 16 bits a pixel of which fewer are used."""

from __future__ import annotations

import builtins
import io
import warnings

import numpy as np
import pydicom
import pytest
from PIL import Image as Pillow
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.sequence import Sequence
from pydicom.uid import (
    MPEG2MPML,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from polymodal.codecs import dicom
from polymodal.codecs import sniffing as formats
from polymodal.config.run_config import LimitsConfig
from polymodal.errors import MissingExtraError, UnreadableCellError
from polymodal.modalities.image import Image, ImageConfig
from polymodal.protocols import Sample

RNG = np.random.default_rng(0)
VALUES = RNG.integers(0, 4_096, (16, 16)).astype(np.uint16)
PATIENT = "MUSTERFRAU^ERIKA"


def encode(pixels, *, syntax=ExplicitVRLittleEndian, frames=1, raw=None, **elements):
    """A DICOM file; `elements` are set by their keywords, those of value None are left out."""
    data = Dataset()
    data.PatientName, data.PatientID, data.SpecificCharacterSet = PATIENT, "P-1928", "ISO_IR 100"
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "1.2.3"
    height, width = pixels.shape[-2:] if pixels.ndim < 4 and pixels.shape[-1] != 3 else pixels.shape[-3:-1]
    data.Rows, data.Columns = height, width
    data.SamplesPerPixel = 3 if pixels.shape[-1] == 3 else 1
    data.PhotometricInterpretation = "RGB" if data.SamplesPerPixel == 3 else "MONOCHROME2"
    if data.SamplesPerPixel == 3:
        data.PlanarConfiguration = 0
    bits = 8 * pixels.dtype.itemsize
    data.BitsAllocated = data.BitsStored = bits
    data.HighBit, data.PixelRepresentation = bits - 1, int(pixels.dtype.kind == "i")
    if frames > 1:
        data.NumberOfFrames = frames
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    data.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes() if raw is None else raw
    data["PixelData"].VR = "OB" if bits == 8 or raw is not None else "OW"
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID, data.file_meta.MediaStorageSOPInstanceUID = data.SOPClassUID, "1.2.3"
    for keyword, value in elements.items():
        if value is None:
            del data[keyword]
        else:
            setattr(data, keyword, value)
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(file, data, enforce_file_format=True)
    return file.getvalue()


def read(cell, size=16, **settings):
    return Image(ImageConfig(size=size, **settings)).read(cell)


def grey(cell, **settings):
    pixels = read(cell, **settings)
    assert (pixels == pixels[..., :1]).all()
    return pixels[..., 0].astype(int)


def linear(values, centre, width):
    """PS3.3 C.11.2.1.2.1, word by word."""
    shown = np.zeros(values.shape)
    for place, x in np.ndenumerate(values.astype(float)):
        if x <= centre - 0.5 - (width - 1) / 2:
            shown[place] = 0
        elif x > centre - 0.5 + (width - 1) / 2:
            shown[place] = 255
        else:
            shown[place] = ((x - (centre - 0.5)) / (width - 1) + 0.5) * 255
    return np.rint(shown).astype(int)


# --- DICOM: what is shown --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_window_by_the_formula_of_the_standard(syntax):
    content = encode(VALUES, syntax=syntax, WindowCenter=2_000, WindowWidth=900)
    np.testing.assert_array_equal(grey(content), linear(VALUES, 2_000, 900))


def test_rescaled_before_the_window():
    content = encode(VALUES, RescaleSlope=2, RescaleIntercept=-1_024, WindowCenter=40, WindowWidth=400)
    np.testing.assert_array_equal(grey(content), linear(2.0 * VALUES - 1_024, 40, 400))


def test_signed_values():
    values = VALUES.astype(np.int16) - 2_000
    content = encode(values, WindowCenter=[-500, 3], WindowWidth=[1_500, 1])
    np.testing.assert_array_equal(grey(content), linear(values, -500, 1_500))


def test_linear_exact_and_sigmoid():
    exact = encode(VALUES, WindowCenter=2_000, WindowWidth=1_000, VOILUTFunction="LINEAR_EXACT")
    expected = np.clip((VALUES - 2_000.0) / 1_000 + 0.5, 0, 1) * 255
    np.testing.assert_array_equal(grey(exact), np.rint(expected))
    sigmoid = encode(VALUES, WindowCenter=2_000, WindowWidth=1_000, VOILUTFunction="SIGMOID")
    expected = 255 / (1 + np.exp(-4 * (VALUES - 2_000.0) / 1_000))
    np.testing.assert_array_equal(grey(sigmoid), np.rint(expected))


def test_the_columns_window_goes_before_that_of_the_file():
    content = encode(VALUES, WindowCenter=2_000, WindowWidth=900)
    np.testing.assert_array_equal(grey(content, window=(1_000.0, 500.0)), linear(VALUES, 1_000, 500))


def test_a_window_of_one_value_is_a_threshold():
    content = encode(VALUES, WindowCenter=2_000, WindowWidth=1)
    np.testing.assert_array_equal(grey(content), np.where(VALUES > 1_999.5, 255, 0))


@pytest.mark.parametrize("window", [{}, {"WindowCenter": 5}, {"WindowCenter": 5, "WindowWidth": 0}])
def test_without_a_window_percentiles_become_black_and_white(window):
    low, high = np.percentile(VALUES, [0.5, 99.5])
    expected = np.rint(np.clip((VALUES - low) / (high - low), 0, 1) * 255)
    content = encode(VALUES, **window)
    np.testing.assert_array_equal(grey(content), expected)
    assert Image(ImageConfig(size=16)).note(content) == "spread from its own darkest to its lightest grey"


def test_padding_does_not_count_among_the_percentiles():
    values = np.full((16, 16), 1_000, np.int16)
    values[4:12, 4:12] = RNG.integers(1_000, 1_200, (8, 8))
    values[0] = -32_768
    content = encode(values, PixelPaddingValue=-32_768)
    assert len(np.unique(grey(content)[4:12, 4:12])) > 20
    assert not grey(content)[0].any()


def test_monochrome1_is_inverted():
    content = encode(VALUES, WindowCenter=2_000, WindowWidth=900, PhotometricInterpretation="MONOCHROME1")
    assert np.abs(grey(content) - (255 - linear(VALUES, 2_000, 900))).max() <= 1


def test_one_grey_is_black_not_an_error():
    assert not grey(encode(np.full((16, 16), 700, np.uint16))).any()


def test_colours():
    pixels = RNG.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    np.testing.assert_array_equal(read(encode(pixels)), pixels)
    assert Image(ImageConfig(size=16)).note(encode(pixels)) is None


def test_palettes():
    index = RNG.integers(0, 4, (16, 16)).astype(np.uint8)
    colours = RNG.integers(0, 256, (3, 4)).astype(np.uint16) * 257
    tables = {f"{name}PaletteColorLookupTableDescriptor": [4, 0, 16] for name in ("Red", "Green", "Blue")}
    tables |= {f"{name}PaletteColorLookupTableData": row.tobytes()
               for name, row in zip(("Red", "Green", "Blue"), colours, strict=True)}  # fmt: skip
    content = encode(index, PhotometricInterpretation="PALETTE COLOR", **tables)
    np.testing.assert_array_equal(read(content), np.stack([(row // 257)[index] for row in colours], axis=2))


def test_of_many_frames_the_first_is_shown_and_told():
    frames = np.stack([VALUES, VALUES[::-1], VALUES.T])
    content = encode(frames, frames=3, WindowCenter=2_000, WindowWidth=900)
    np.testing.assert_array_equal(grey(content), linear(VALUES, 2_000, 900))
    assert Image(ImageConfig(size=16)).note(content) == "cut to the first frame"


def test_windows_of_enhanced_files():
    window, units, group = Dataset(), Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 40, 400
    units.RescaleSlope, units.RescaleIntercept = 2, -1_024
    group.FrameVOILUTSequence, group.PixelValueTransformationSequence = Sequence([window]), Sequence([units])
    content = encode(VALUES, SharedFunctionalGroupsSequence=Sequence([group]))
    np.testing.assert_array_equal(grey(content), linear(2.0 * VALUES - 1_024, 40, 400))


def test_unusual_spellings_warn_of_nothing():
    """With `filterwarnings = error` any word of pydicom's would end here."""
    long = encode(VALUES, WindowCenter="2000.0", WindowWidth="900").replace(b"2000.0", b"02.0e3")
    np.testing.assert_array_equal(grey(long), linear(VALUES, 2_000, 900))
    surplus = encode(VALUES, raw=VALUES.tobytes() + bytes(64), WindowCenter=2_000, WindowWidth=900)
    np.testing.assert_array_equal(grey(surplus), linear(VALUES, 2_000, 900))


# --- DICOM: compressed -----------------------------------------------------------------------------------------------


def jpeg(pixels, kind, **options):
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def test_compressed_pictures_that_installed_packages_read():
    pixels = VALUES.astype(np.uint8)
    shown = {"WindowCenter": 128, "WindowWidth": 256}
    lossless = encode(
        pixels, syntax=JPEG2000Lossless, raw=encapsulate([jpeg(pixels, "JPEG2000", no_jp2=True)]), **shown
    )
    np.testing.assert_array_equal(grey(lossless), linear(pixels, 128, 256))
    smooth = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8
    baseline = encode(smooth, syntax=JPEGBaseline8Bit, raw=encapsulate([jpeg(smooth, "JPEG", quality=100)]), **shown)
    assert np.abs(grey(baseline) - linear(smooth, 128, 256)).max() <= 3


def test_a_truncated_compressed_picture_becomes_reject():
    noise = RNG.integers(0, 256, (64, 64)).astype(np.uint8)
    half = jpeg(noise, "JPEG")[:1_500]
    with pytest.raises(UnreadableCellError, match="truncated"):
        read(encode(noise, syntax=JPEGBaseline8Bit, raw=encapsulate([half])))


def test_what_no_installed_package_undoes_becomes_reject_saying_what_is_needed():
    with pytest.raises(UnreadableCellError, match=r"compressed as JPEG-LS .*, which needs .*pyjpegls"):
        read(encode(VALUES, syntax=JPEGLSLossless, raw=encapsulate([b"\xff\xd8\0\0"])))
    with pytest.raises(UnreadableCellError, match="cannot be read: MPEG2 Main Profile"):
        read(encode(VALUES, syntax=MPEG2MPML, raw=encapsulate([b"\0\0\1\xb3"])))


def test_deflated_files_are_not_inflated(monkeypatch):
    content = encode(VALUES, syntax=DeflatedExplicitVRLittleEndian)
    monkeypatch.setattr("zlib.decompress", lambda *_: pytest.fail("inflated"))
    with pytest.raises(UnreadableCellError, match="deflated"):
        read(content)


# --- DICOM: what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.99])
def test_truncated_dicom_becomes_reject(share):
    content = encode(RNG.integers(0, 4_096, (64, 64)).astype(np.uint16))
    with pytest.raises(UnreadableCellError):
        read(content[: int(share * len(content))])


def test_a_huge_picture_is_refused_before_decoding(monkeypatch):
    monkeypatch.setattr("pydicom.pixels.utils.pixel_array", lambda *_: pytest.fail("decoded"))
    content = encode(VALUES, Rows=50_000, Columns=50_000)
    with pytest.raises(UnreadableCellError, match="50000 x 50000 pixels, at most 50,000,000"):
        read(content)


@pytest.mark.parametrize(
    "elements",
    [{"PixelData": None}, {"Rows": None}, {"Columns": 0}, {"BitsAllocated": 7}, {"PhotometricInterpretation": "X"},
     {"SamplesPerPixel": 9}, {"PixelRepresentation": None}, {"RescaleSlope": "1e400"}],
)  # fmt: skip
def test_broken_headers_become_rejects(elements):
    with pytest.raises(UnreadableCellError, match="DICOM"):
        read(encode(VALUES, **elements))


def test_no_word_of_the_header_leaves_it(caplog):
    damage = np.random.default_rng(1)
    whole = np.frombuffer(encode(VALUES, WindowCenter=2_000, WindowWidth=900), np.uint8)
    for _ in range(300):
        broken = whole.copy()
        broken[damage.integers(132, len(broken) // 2, 5)] = damage.integers(0, 256, 5)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            try:
                words = "" if read(broken.tobytes()).shape == (16, 16, 3) else "?"
            except UnreadableCellError as error:
                words = str(error)
                assert error.__context__ is None or error.__suppress_context__
        words += "".join(str(warning.message) for warning in told) + caplog.text
        assert not any(part in words for part in ("MUSTERFRAU", "ERIKA", "P-1928"))


def test_without_pydicom_the_extra_is_named(monkeypatch):
    content = encode(VALUES)
    real = builtins.__import__

    def absent(name, *args, **kwargs):
        if name.partition(".")[0] == "pydicom":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError, match=r"pip install 'polymodal\[medical\]'"):
        read(content)
    assert Image.recognise(Sample([content], [content[:1_024]], 1, 1)) is not None
    assert Image.suggest([content], LimitsConfig()) == {"max_pixels": 50_000_000}


def test_known_by_content_whatever_stands_before():
    content = encode(VALUES, WindowCenter=2_000, WindowWidth=900)
    disguised = b"II*\0" + content[4:]
    assert formats.sniff(disguised) == formats.DICOM
    np.testing.assert_array_equal(read(disguised), read(content))
    assert formats.misnamed("scan.png", content) == "read as DICOM though named .png"
    assert "DICOM" in Image.recognise(Sample([content], [content[:132]], 1, 1)).reason
    assert Image.suggest([content], LimitsConfig())["size"] == 16


def test_measure_tells_size_and_frames():
    assert dicom.measure(encode(np.zeros((4, 6), np.uint8))) == (6, 4, 1)
    assert dicom.measure(encode(np.zeros((5, 4, 6), np.uint8), frames=5)) == (6, 4, 5)


def test_run_length_encoding():
    data = pydicom.dcmread(io.BytesIO(encode(VALUES, WindowCenter=2_000, WindowWidth=900)))
    data.compress(RLELossless)
    file = io.BytesIO()
    pydicom.dcmwrite(file, data)
    np.testing.assert_array_equal(grey(file.getvalue()), linear(VALUES, 2_000, 900))


# --- 16 bits a pixel -------------------------------------------------------------------------------------------------


def deep(values, kind="PNG"):
    file = io.BytesIO()
    Pillow.fromarray(values).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", None])
def test_twelve_bits_in_sixteen_are_not_black(kind):
    cells = [VALUES // 2 if kind is None else deep(VALUES // 2, kind), VALUES if kind is None else deep(VALUES, kind)]
    settings = Image.suggest(cells, LimitsConfig())
    assert settings["bits"] == 12
    expected = np.rint(VALUES / 4_095 * 255)
    np.testing.assert_array_equal(grey(cells[1], bits=settings["bits"]), expected)
    half = np.rint(VALUES // 2 / 4_095 * 255)  # one scale for all: the darker picture stays darker
    np.testing.assert_array_equal(grey(cells[0], bits=settings["bits"]), half)


def test_brighter_than_the_column_is_white_and_told():
    bright = VALUES.copy()
    bright[0] = 5_000
    image = Image(ImageConfig(size=16, bits=12))
    assert (grey(deep(bright), bits=12)[0] == 255).all()
    assert image.note(deep(bright)) == image.note(bright) == "cut to the 12 bits a pixel that white has"
    assert image.note(deep(VALUES)) is None
    assert Image(ImageConfig(size=16)).note(deep(bright)) is None


def test_bits_are_suggested_only_where_pictures_are_deep():
    shallow = deep(VALUES.astype(np.uint8))
    assert "bits" not in Image.suggest([shallow, VALUES.astype(np.uint8)], LimitsConfig())
    assert Image.suggest([shallow, deep(np.full((9, 9), 65_535, np.uint16))], LimitsConfig())["bits"] == 16
    assert Image.suggest([deep(np.ones((9, 9), np.uint16))], LimitsConfig())["bits"] == 8
