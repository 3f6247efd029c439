"""Media as people have them: of other formats, inside of cells, under paths of other programs: read, or named."""

import base64
import io
import json
from importlib.util import find_spec

import numpy as np
import pytest
import soundfile
from cli_tables import SMALL, picture, recording, write_csv
from PIL import Image

ROWS = 24


def rows_of(cells):
    rng = np.random.default_rng(0)
    return [
        {"cell": cell, "size": round(float(rng.normal(k % 2, 1)), 3), "label": "ab"[k % 2]}
        for k, cell in enumerate(cells)
    ]


def pictures():
    rng = np.random.default_rng(1)
    return [picture(k % 2, rng) for k in range(ROWS)]


def written(folder, ending, contents):
    """The names of files with these contents."""
    names = [f"{k}.{ending}" for k in range(len(contents))]
    for name, content in zip(names, contents, strict=True):
        (folder / name).write_bytes(content)
    return names


def inspected(cli, folder, cells):
    """Kind and modality of the column, and the severity of each finding on it with its text."""
    done = cli("inspect", write_csv(folder / "t.csv", rows_of(cells)), "--target", "label", "--json")
    assert (done.code, done.err) == (0, "")
    found = json.loads(done.out)
    column = next(column for column in found["columns"] if column["name"] == "cell")
    said = [(f["severity"], f["what"]) for f in found["findings"] if f["columns"] == ["cell"]]
    return column["kind"], column["modality"], said


AS_TEXT = {
    "base64": lambda content: base64.b64encode(content).decode(),
    "lines": lambda content: base64.encodebytes(content).decode(),
    "url": lambda content: f"data:image/png;base64,{base64.b64encode(content).decode()}",
    "repr": repr,
}


@pytest.mark.parametrize("how", AS_TEXT)
def test_pictures_inside_of_cells(cli, tmp_path, how):
    kind, modality, said = inspected(cli, tmp_path, [AS_TEXT[how](content) for content in pictures()])
    assert (kind, modality) == ("image", "image")
    assert "warning" not in [severity for severity, what in said if "cannot be read" in what]


def test_recordings_and_lists_inside_of_cells(cli, tmp_path):
    rng = np.random.default_rng(2)
    sounds = [base64.b64encode(recording(k % 2, rng)).decode() for k in range(ROWS)]
    assert inspected(cli, tmp_path, sounds)[:2] == ("audio", "audio")
    several = [json.dumps([base64.b64encode(content).decode()] * 2) for content in pictures()]
    assert inspected(cli, tmp_path, several)[:2] == ("images", "images")


def test_text_in_base64_stays_text(cli, tmp_path):
    words = [base64.b64encode(f"some words and the number {k}, over and over".encode()).decode() for k in range(19)]
    assert inspected(cli, tmp_path, words)[1] != "image"


WRITINGS = {
    "trailing blank": ("{} ", "blanks"),
    "no-break space": ("\u00a0{}", "blanks"),
    "line break": ("{}\n", "blanks"),
    "quotes": ("'{}'", "quotes"),
    "backslash": (".\\{}", "\\"),
    "address": ("file://{folder}/{}", "file:"),
}


@pytest.mark.parametrize("how", WRITINGS)
def test_paths_as_others_write_them_are_read_and_said_once(cli, tmp_path, how):
    form, word = WRITINGS[how]
    cells = [form.format(name, folder=tmp_path) for name in written(tmp_path, "png", pictures())]
    kind, modality, said = inspected(cli, tmp_path, cells)
    assert (kind, modality) == ("image", "image")
    assert [(severity, word in what) for severity, what in said if "path" in what] == [("note", True)]


def test_what_cannot_be_read_is_a_warning_that_says_what_to_do(cli, tmp_path):
    heic = b"\0\0\0\x1cftyp%b\0\0\0\0mif1heicmiaf\0\0\0\x08free"
    icons = []
    for content in pictures():
        file = io.BytesIO()
        Image.open(io.BytesIO(content)).save(file, "ICO")
        icons.append(file.getvalue())
    cases = [
        ([f"https://example.org/{k}.png?size=3" for k in range(ROWS)], "addresses"),
        ([f"nowhere/{k}.png" for k in range(ROWS)], "no file"),
        (written(tmp_path, "ico", icons), "magick"),
        (written(tmp_path, "caf", [b"caff\0\1\0\0desc%d" % k for k in range(ROWS)]), "ffmpeg"),
        (written(tmp_path, "ts", [(b"G%03d" % k + bytes(184)) * 4 for k in range(ROWS)]), "ffmpeg"),
        (written(tmp_path, "txt", [b"some words %d" % k for k in range(ROWS)]), "put the text itself"),
        (written(tmp_path, "bin", [b"\7\1\2%d" % k for k in range(ROWS)]), "not known"),
    ]
    if find_spec("pillow_heif") is None:
        for brand in (b"heic", b"heix", b"mif1"):
            cases.append((written(tmp_path, "heic", [heic % brand + b"%d" % k for k in range(ROWS)]), "HEIC"))
    for cells, words in cases:
        kind, modality, said = inspected(cli, tmp_path, cells)
        assert (kind, modality) == ("unread", None)
        assert [severity for severity, what in said if words in what] == ["warning"]


def test_a_recording_silent_by_its_mixing_is_said(cli, tmp_path):
    rng = np.random.default_rng(3)
    contents = []
    for _ in range(ROWS):
        wave, file = rng.normal(0, 0.1, 2_000), io.BytesIO()
        soundfile.write(file, np.stack([wave, -wave], axis=1), 8_000, format="WAV")
        contents.append(file.getvalue())
    said = inspected(cli, tmp_path, written(tmp_path, "wav", contents))[2]
    assert any("silent" in what for _, what in said)


def test_a_model_of_pictures_inside_of_cells(cli, tmp_path):
    rows = rows_of([base64.b64encode(content).decode() for content in pictures()])
    table = write_csv(tmp_path / "t.csv", rows)
    done = cli("train", table, "--target", "label", "-o", tmp_path / "run", settings=[*SMALL, "split.validation=0"])
    assert done.code == 0, done.err
    assert (tmp_path / "run/rejects.jsonl").read_text() == ""
    rows[3]["cell"] = rows[3]["cell"][:200]
    done = cli("predict", tmp_path / "run/bundle", write_csv(tmp_path / "new.csv", rows), "-o", tmp_path / "out.csv")
    assert done.code == 0, done.err
    statuses = [line for line in (tmp_path / "out.csv").read_text().splitlines() if "unreadable" in line]
    assert len(statuses) == 1 and len(statuses[0]) < 300
