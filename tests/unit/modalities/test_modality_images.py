"""Several pictures in one cell: found, opened, read together, and refused together."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image as Pillow

from polymodal.config.run_config import LimitsConfig, RunConfig
from polymodal.data.cells.prepare import prepare
from polymodal.data.columns.infer import infer_columns, suggest_settings
from polymodal.data.tables.table import read_table
from polymodal.errors import UnreadableCellError
from polymodal.modalities.image import Image
from polymodal.modalities.images import Images, ImagesConfig
from polymodal.schema import Column

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (3, 20, 24, 3), dtype=np.uint8)


def png(pixels):
    file = io.BytesIO()
    Pillow.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def folder(tmp_path):
    for name, pixels in zip("abc", PICTURES, strict=True):
        (tmp_path / f"{name}.png").write_bytes(png(pixels))
    return tmp_path


def read(table, cache=None):
    column = Column(name="photos", kind="images", modality="images", reason="", settings={"size": 16})
    return prepare(table, [column], limits=LimitsConfig(), bad_cells="missing", cache=cache)


def expected(*numbers):
    return np.stack([Image(Image.Config(size=16)).read(PICTURES[number]).transpose(2, 0, 1) for number in numbers])


FORMS = {
    "list": ["a.png", "b.png"],
    "tuple": ("a.png", "b.png"),
    "JSON": '["a.png", "b.png"]',
    "bars": "a.png|b.png",
    "semicolons": "a.png; b.png",
    "bytes": [png(PICTURES[0]), png(PICTURES[1])],
    "arrays": [PICTURES[0], PICTURES[1]],
    "gap": ["a.png", None, "b.png"],
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cached", [False, True])
def test_every_form_of_a_list(folder, form, cached):
    cells = np.empty(4, dtype=object)
    cells[:] = [FORMS[form], "c.png", None, FORMS[form]]
    prepared = read(read_table({"photos": cells}, folder=folder), folder / "cache" if cached else None)
    arrays = prepared.stores["photos"].arrays(range(4))
    assert prepared.rejects == ()
    np.testing.assert_array_equal(arrays[0], expected(0, 1))
    np.testing.assert_array_equal(arrays[1], expected(2))
    assert arrays[2] is None
    np.testing.assert_array_equal(arrays[3], expected(0, 1))


def test_lists_of_arrow(folder):
    table = read_table(pa.table({"photos": [["b.png", "a.png"], None, ["c.png"]]}), folder=folder)
    arrays = read(table).stores["photos"].arrays(range(3))
    np.testing.assert_array_equal(arrays[0], expected(1, 0))
    assert arrays[1] is None


@pytest.mark.parametrize("cached", [False, True])
def test_one_unreadable_picture_makes_its_cell_a_reject_that_names_it(folder, cached):
    (folder / "bad.png").write_bytes(png(PICTURES[0])[:200])
    table = read_table(
        {"photos": ["a.png|nowhere.png|b.png", "a.png|b.png", "a.png|bad.png", "bad.png|c.png", "[]"]}, folder=folder
    )
    prepared = read(table, folder / "cache" if cached else None)
    assert prepared.stores["photos"].present.tolist() == [False, True, False, False, False]
    found = [(reject.file, reject.row, reject.reason) for reject in prepared.rejects]
    assert found[0] == (str(folder / "nowhere.png"), 0, "picture 2 of 3: no such file")
    assert [file for file, _, _ in found[1:3]] == [str(folder / "bad.png")] * 2
    reasons = [reason for _, _, reason in found[1:3]]
    assert reasons[0].startswith("picture 2 of 2: truncated: the PNG file")
    assert reasons[1].startswith("picture 1 of 2: truncated: the PNG file")
    assert found[3][2] == "empty: it lists no picture"


def test_all_pictures_of_a_cell_count_for_the_limit_on_bytes(folder):
    table = read_table({"photos": ["a.png|b.png", "a.png"]}, folder=folder)
    column = Column(name="photos", kind="images", modality="images", reason="", settings={})
    limits = LimitsConfig(bytes=(folder / "a.png").stat().st_size + 10)
    prepared = prepare(table, [column], limits=limits, bad_cells="missing")
    assert [(reject.row, "limits.bytes" in reject.reason) for reject in prepared.rejects] == [(0, True)]


@pytest.mark.parametrize("form", ["list", "JSON", "bars", "semicolons", "bytes"])
def test_a_column_of_lists_is_found(folder, form):
    table = read_table({"photos": [FORMS[form], ["c.png"]] * 3, "label": [1, 2] * 3}, folder=folder)
    column = infer_columns(table, RunConfig(target="label"))[0]
    assert (column.modality, column.reason) == ("images", "6 of 6 sampled cells list pictures")
    assert suggest_settings(table, [column], LimitsConfig()) == {
        "photos": {"size": 32, "max_pixels": 50_000_000, "max_pictures": 2}
    }


def test_single_pictures_stay_an_image_column_and_lists_of_words_a_text(folder):
    columns = {"photo": ["a.png", "b.png"] * 9, "tags": ["red|green", "blue;grey"] * 9, "label": [1, 2] * 9}
    found = infer_columns(read_table(columns, folder=folder), RunConfig(target="label"))
    assert found[0].modality == "image"
    assert found[1].modality in ("text", "category")


def test_names_of_absent_pictures_are_not_taken_for_texts(tmp_path):
    table = read_table({"photos": ["a.png|b.png", "c.png|d.png"], "n": [1.5, 2.5]}, folder=tmp_path)
    assert "name no file" in infer_columns(table, RunConfig())[0].reason


def test_more_pictures_than_are_kept_are_told_and_still_read():
    images = Images(ImagesConfig(size=16, max_pictures=2))
    np.testing.assert_array_equal(images.read(PICTURES), expected(0, 1))
    assert images.note(PICTURES) == "cut to 2 pictures"
    assert images.note(PICTURES[:2]) is None
    with pytest.raises(UnreadableCellError, match="picture 3 of 3: not an image: looks like JSON"):
        images.read((PICTURES[0], PICTURES[1], json.dumps({"a": 1}).encode()))


def test_simple_features_are_the_mean_over_pictures():
    images = Images(ImagesConfig(size=16))
    both, first, second = (images.read(part) for part in (PICTURES[:2], PICTURES[:1], PICTURES[1:2]))
    features = images.handcrafted_features([both, first, None, second])
    np.testing.assert_allclose(features[0], (features[1] + features[3]) / 2)
    assert np.isnan(features[2]).all()
