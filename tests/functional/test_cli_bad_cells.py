"""Cells that cannot be read: each one named, none replaced, every row accounted for."""

import hashlib
import io
import json
import os
import struct
import zlib

import numpy as np
import pytest
import soundfile
from cli_tables import SMALL, make_rows, picture, recording, write_csv
from PIL import Image

NUMBER = "columns.size.modality=number"  # else a column with words in it would be read as categories


def png_of_size(width, height):
    """The header of a picture that would need gigabytes."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 64)) + chunk(b"IEND", b"")
    )


def saved(image, format_, **options):
    file = io.BytesIO()
    image.save(file, format_, **options)
    return file.getvalue()


def wav(samples, rate=8_000, subtype="FLOAT"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="WAV", subtype=subtype)
    return file.getvalue()


def bad_media(rng):
    """(column, file name, content, what the reason says); None as content: there is no such file."""
    return [
        ("photo", "truncated.jpg", picture(0, rng, format_="JPEG")[:400], "JPEG"),  # 1
        ("photo", "nothing.png", b"", "no bytes"),  # 2
        ("photo", "page.jpg", b"<!DOCTYPE html><title>404</title>", "not an image"),  # 4
        ("photo", "absent.png", None, "no such file"),  # 5
        ("photo", "bomb.png", png_of_size(50_000, 50_000), "50000 x 50000"),  # 8
        ("sound", "truncated.wav", recording(0, rng)[:1_000], "truncated"),  # 10
        ("sound", "no_samples.wav", wav(np.zeros(0)), "no samples"),  # 11
        ("sound", "nan.wav", wav(np.full(2_000, np.nan)), "NaN"),  # 11
        ("sound", "picture.wav", picture(0, rng), "not audio"),
    ]


def odd_media(rng):
    """Files that are unusual and still readable."""
    pixels = Image.open(io.BytesIO(picture(1, rng)))
    turned = Image.Exif()
    turned[0x0112] = 6
    deep = Image.fromarray(rng.integers(0, 65_535, (20, 24), dtype=np.uint16))
    return [
        ("photo", "png.jpg", picture(1, rng)),  # 3
        ("photo", "cmyk.jpg", saved(pixels.convert("CMYK"), "JPEG")),  # 7
        ("photo", "deep.png", saved(deep, "PNG")),
        ("photo", "alpha.png", saved(pixels.convert("RGBA"), "PNG")),
        ("photo", "palette.png", saved(pixels.convert("P"), "PNG")),
        ("photo", "turned.jpg", saved(pixels, "JPEG", exif=turned)),
        ("photo", "moving.gif", saved(pixels, "GIF", save_all=True, append_images=[pixels.rotate(90)])),  # 9
        ("photo", "moving.webp", saved(pixels, "WEBP", save_all=True, append_images=[pixels.rotate(90)])),
        ("sound", "odd_rate.wav", recording(1, rng, rate=11_127)),  # 12
        ("sound", "eight_channels.wav", recording(1, rng, channels=8)),
    ]


BAD_NUMBERS = {20: ("one", "not a number"), 21: ("inf", "not a number"), 22: ("1e308", "not finite, or larger")}
WORDS = {23: "a\u202eb \U0001f600 e\u0301", 24: "  ", 25: "x" * 100_000}


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """A table of 48 rows, 14 bad cells in all of its columns, and by row and column what is wrong."""
    folder = tmp_path_factory.mktemp("spoilt")
    rng = np.random.default_rng(1)
    rows = make_rows(folder, 48)
    expected = {}
    for row, (column, name, content, reason) in enumerate(bad_media(rng)):
        rows[row][column] = name
        expected[row, column] = reason
        if content is not None:
            (folder / name).write_bytes(content)
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    for row, name, reason in ((9, "folder.png", "a folder"), (10, "pipe.png", "a named pipe")):  # 6
        rows[row]["photo"], expected[row, "photo"] = name, reason
    for row, (word, reason) in BAD_NUMBERS.items():
        rows[row]["size"], expected[row, "size"] = word, reason
    for row, (column, name, content) in enumerate(odd_media(rng), start=30):
        rows[row][column] = name
        (folder / name).write_bytes(content)
    for row, word in WORDS.items():
        rows[row]["note"] = word
    rows[26]["label"] = rows[27]["label"] = None  # 16
    return write_csv(folder / "spoilt.csv", rows), expected


@pytest.fixture(scope="module")
def spoilt_run(cli, spoilt, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "run"
    done = cli("train", spoilt[0], "--target", "label", "-o", folder, settings=[*SMALL, NUMBER])
    assert (done.code, done.err) == (0, "")
    return folder, done


def lines_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_unreadable_cell_is_a_reject_with_its_reason(spoilt, spoilt_run):
    path, expected = spoilt
    rejects = lines_of(spoilt_run[0] / "rejects.jsonl")
    assert {(reject["row"], reject["column"]) for reject in rejects} == expected.keys()
    assert len(rejects) == len(expected)
    for reject in rejects:
        assert expected[reject["row"], reject["column"]] in reject["reason"], reject
        if reject["column"] == "size":
            assert reject["file"] == str(path)
        else:
            assert reject["file"].startswith(str(path.parent))
    hashed = {reject["row"]: reject["sha256"] for reject in rejects}
    assert hashed[2] == hashlib.sha256((path.parent / "page.jpg").read_bytes()).hexdigest()
    assert hashed[3] is None  # no such file


def test_kept_and_rejected_add_up_and_the_summary_says_so(spoilt, spoilt_run):
    folder, done = spoilt_run
    rows = json.loads((folder / "bundle/metrics.json").read_text())["rows"]
    assert rows["unlabelled"] == 2
    assert rows["rejected_cells"] == len(spoilt[1]) == 14
    assert rows["train"] + rows["validation"] + rows["test"] + rows["unlabelled"] + rows["dropped"] == 48
    assert "Rows: 48 = " in done.out and " + 2 without a target" in done.out
    assert "Rejects: 14 cells could not be read, counted as missing." in done.out
    assert done.out.count("truncated.jpg") == 1  # the first five are shown


def test_predict_gives_one_row_per_row_with_a_status(cli, spoilt, spoilt_run, tmp_path):
    path, expected = spoilt
    assert cli("predict", spoilt_run[0] / "bundle", path, "-o", tmp_path / "out.jsonl").code == 0
    lines = lines_of(tmp_path / "out.jsonl")
    assert len(lines) == 48
    partial = {row for row, line in enumerate(lines) if line["status"].startswith("partial: ")}
    assert partial == {row for row, _ in expected}
    assert all(line["status"] == "ok" for row, line in enumerate(lines) if row not in partial)
    for (row, column), reason in expected.items():
        assert column in lines[row]["status"] and reason in lines[row]["status"]


def test_policy_drop_leaves_rows_out_and_counts_them(cli, spoilt, tmp_path):
    path, expected = spoilt
    settings = [*SMALL, NUMBER, "bad_cells=drop"]
    done = cli("train", path, "--target", "label", "-o", tmp_path / "run", settings=settings)
    assert done.code == 0
    rows = json.loads((tmp_path / "run/bundle/metrics.json").read_text())["rows"]
    assert rows["dropped"] == len({row for row, _ in expected}) == 14
    assert rows["train"] + rows["validation"] + rows["test"] == 48 - 14 - 2


def test_rows_dropped_without_a_target_are_counted_once(cli, tmp_path):
    rows = make_rows(tmp_path / "data", 24)
    rows[3] |= {"photo": "absent.png", "label": None}
    rows[4] |= {"photo": "absent.png"}
    path = write_csv(tmp_path / "data/table.csv", rows)
    words = ("--target", "label", "--drop", "sound", "-o", tmp_path / "run")
    done = cli("train", path, *words, settings=[*SMALL, "bad_cells=drop"])
    assert done.code == 0
    assert "Rows: 24 = " in done.out
    assert "1 without a target + 1 dropped" in done.out


def test_policy_error_names_file_row_column_and_reason_and_writes_nothing(cli, spoilt, tmp_path):
    settings = [*SMALL, NUMBER, "bad_cells=error"]
    done = cli("train", spoilt[0], "--target", "label", "-o", tmp_path / "deep/run", settings=settings)
    assert (done.code, done.out) == (2, "")
    for part in (str(spoilt[0]), "row 0", "'photo'", "truncated.jpg", "JPEG"):
        assert part in done.err
    assert list(tmp_path.iterdir()) == []


def test_an_unseen_category_is_predicted(cli, run, table, tmp_path):
    rows = make_rows(tmp_path / "data", 4)
    rows[1]["colour"] = "ultraviolet"
    path = write_csv(tmp_path / "data/table.csv", rows)
    assert cli("predict", run / "bundle", path, "-o", tmp_path / "out.jsonl").code == 0
    assert [line["status"] for line in lines_of(tmp_path / "out.jsonl")] == ["ok"] * 4


def test_a_missing_label_is_no_matter_in_predict(cli, run, tmp_path):
    rows = [{name: cell for name, cell in row.items() if name != "label"} for row in make_rows(tmp_path / "data", 4)]
    path = write_csv(tmp_path / "data/table.csv", rows)
    assert cli("predict", run / "bundle", path, "-o", tmp_path / "out.jsonl").code == 0
    assert len(lines_of(tmp_path / "out.jsonl")) == 4


def test_a_column_with_no_cell_trains_masked(cli, tmp_path):
    rows = [{**row, "size": None} for row in make_rows(tmp_path / "data", 24)]
    path = write_csv(tmp_path / "data/table.csv", rows)
    words = ("--target", "label", "--drop", "sound", "--drop", "photo", "-o", tmp_path / "run")
    done = cli("train", path, *words, settings=SMALL)
    assert (done.code, done.err) == (0, "")
    assert "always-missing number" in done.out


def test_odd_characters_come_back_as_they_went_in(cli, tmp_path):
    classes = ("naïve \U0001f600", "=cmd()")
    rows = [{**row, "label": classes[k % 2]} for k, row in enumerate(make_rows(tmp_path / "data", 24))]
    path = write_csv(tmp_path / "data/table.csv", rows)
    words = ("--target", "label", "--drop", "sound", "--drop", "photo", "-o", tmp_path / "run")
    assert cli("train", path, *words, settings=SMALL).code == 0
    assert cli("predict", tmp_path / "run/bundle", path, "-o", tmp_path / "out.jsonl").code == 0
    assert {line["prediction"] for line in lines_of(tmp_path / "out.jsonl")} <= set(classes)


def test_a_class_with_one_row_is_warned_of(cli, tmp_path):
    rows = make_rows(tmp_path / "data", 24)
    rows[5]["label"] = "bird"
    path = write_csv(tmp_path / "data/table.csv", rows)
    words = ("--target", "label", "--drop", "sound", "--drop", "photo", "-o", tmp_path / "run")
    done = cli("train", path, *words, settings=SMALL)
    assert done.code == 0
    assert done.err.startswith("Warning: ") and "'bird'" in done.err
    assert done.err.count("\n") == 1


def test_predict_warns_of_cells_and_of_columns_that_it_cannot_read(cli, run, tmp_path):
    rows = make_rows(tmp_path / "data", 4)
    for row in rows:
        row["sound"] = f"absent/{row['sound']}"
    rows[2]["photo"] = "absent.png"
    done = cli("predict", run / "bundle", write_csv(tmp_path / "data/t.csv", rows), "-o", tmp_path / "out.csv")
    assert done.code == 0 and "4 rows (4 partial)" in done.out
    photo, sound = done.err.splitlines()
    assert photo.startswith("Warning: photo: 1 cell could not be read, counted as missing: row 2")
    assert sound.startswith("Warning: sound: none of its 4 cells could be read") and str(tmp_path / "data") in sound
