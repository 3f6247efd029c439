"""The docs are true: examples run, configurations are valid, generated pages are fresh, links lead somewhere."""

import importlib.util
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from PIL import Image

import polymodal
import polymodal.testing
from polymodal import errors, registry
from polymodal.config import run_config as config

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """Code of one language, less files with a title, which other tests put in their places."""
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    return [code for name, info, code in found if name == language and "title=" not in info]


def with_blocks(*languages: str) -> list:
    pages = [page for page in PAGES if any(blocks(page, language) for language in languages)]
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in pages]


@pytest.fixture
def tables(tmp_path, monkeypatch) -> None:
    """The tables that the examples are about, in the current folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    Path("media").mkdir()
    lines = []
    for row in range(48):
        dear = row % 2
        pixels = rng.integers(0, 128, (32, 32, 3), dtype=np.uint8) + np.uint8(127 * dear)
        Image.fromarray(pixels).save(f"media/{row}.png")
        words = ("a small thing of wood" if not dear else "made of solid gold with stones").split()
        note = " ".join(rng.permutation(words))
        price = "" if row % 7 == 0 else f"{rng.normal(10 + 20 * dear, 3):.2f}"
        colour, label = ["red", "blue", "green"][rng.integers(3)], ["cheap", "dear"][dear]
        lines.append(",".join([f"media/{row}.png", note, price, colour, label]))
    header = "photo,note,price,colour,label"
    about = [["dark", "light"][row % 2] for row in range(48)]
    captions = [f"media/{row}.png,a {shade} picture with grains of number {row}" for row, shade in enumerate(about)]
    asked = [f"media/{row}.png,is it dark or light?,{shade}" for row, shade in enumerate(about)]
    asked += [f"media/{row}.png,is it light?,{['no', 'yes'][shade == 'light']}" for row, shade in enumerate(about)]
    for name, columns, cells in (
        ("captions", "photo,caption", captions),
        ("questions", "photo,question,answer", asked),
    ):
        Path(f"{name}.csv").write_text("\n".join([columns, *cells]) + "\n")
    Path("speech").mkdir()
    tones = {"a": 400.0, "o": 800.0, "e": 1_600.0}
    said = ["voice,text"]
    for row in range(40):
        text = " ".join("".join(rng.choice(list(tones), rng.integers(1, 4))) for _ in range(2))
        steps = np.arange(1_200) / 8_000
        waves = [np.sin(2 * np.pi * tones[sign] * steps) if sign in tones else np.zeros(1_200) for sign in text]
        samples = np.concatenate(waves) * 0.3
        soundfile.write(f"speech/{row}.wav", samples + rng.normal(0, 0.01, len(samples)), 8_000)
        said.append(f"speech/{row}.wav,{text}")
    Path("speech.csv").write_text("\n".join(said) + "\n")
    Path("data.csv").write_text("\n".join([header, *lines]) + "\n")
    Path("train.csv").write_text("\n".join([header, *lines[:36]]) + "\n")
    Path("test.csv").write_text("\n".join([header, *lines[36:]]) + "\n")
    Path("new.csv").write_text("\n".join(line.rpartition(",")[0] for line in [header, *lines[36:42]]) + "\n")


@pytest.mark.parametrize("page", with_blocks("python"))
def test_python_examples_run(page, tables):
    for code in blocks(page, "python"):
        exec(compile(code, page.name, "exec"), {"__name__": "example"})


@pytest.mark.parametrize("page", with_blocks("bash"))
def test_commands_run_as_written(page, tables):
    """Blocks marked `bash`, one after the other; those that install, or take minutes, are marked `shell`."""
    from polymodal.cli.main import main

    for command in "".join(blocks(page, "bash")).splitlines():
        program, *words = shlex.split(command)
        assert program == "polymodal"
        assert main(words) == 0, command


@pytest.mark.parametrize("page", with_blocks("bash", "shell"))
def test_commands_exist_and_options_too(page):
    import typer

    from polymodal.cli.main import app

    commands = typer.main.get_command(app).commands
    text = "".join(blocks(page, "bash") + blocks(page, "shell")).replace("\\\n", " ")
    for words in (shlex.split(line) for line in text.splitlines()):
        if words[0] == "polymodal":
            command = commands[words[1]]
            command = getattr(command, "commands", {}).get(words[2], command) if len(words) > 2 else command
            known = {name for one in command.params for name in (*one.opts, *one.secondary_opts)}
            assert {word for word in words[2:] if word.startswith("-")} <= known
            settings = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
            own = {"fusion=median", "encoders.text=conv", "task=count"}  # what the page itself adds
            config.override(config.RunConfig(), [setting for setting in settings if setting not in own])
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("page", with_blocks("yaml"))
def test_configurations_are_valid(page):
    for code in blocks(page, "yaml"):
        made = config.make(yaml.safe_load(code))
        parts = {"fusions": made.fusion, **{f"encoders/{name}": part for name, part in made.encoders.items()}}
        for kind, part in parts.items():
            if part.name is not None:
                config.part_settings(kind, part)


def script(path: str):
    """A script of the docs as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in script("docs/generate.py").PAGES])
def test_generated_reference_is_fresh(page):
    text = page.read_text(encoding="utf-8")
    assert text == script("docs/generate.py").generated(text), "run: python docs/generate.py"


def test_every_page_with_a_generated_part_is_known_to_the_generator():
    marked = {page for page in PAGES if "<!-- generated:" in page.read_text(encoding="utf-8")}
    assert marked == {page for page in script("docs/generate.py").PAGES if "<!-- generated:" in page.read_text()}


def test_pages_of_notebooks_are_fresh():
    made = script("docs/notebook_pages.py").pages()
    kept = {path for path in (ROOT / "docs/notebooks").iterdir() if path.name != "index.md"}
    assert kept == set(made)
    assert [path.name for path in made if path.read_bytes() != made[path]] == [], "run: python docs/generate.py"


def test_the_picture_of_the_home_page_is_fresh_and_fits_a_phone():
    drawing = script("docs/overview.py")
    svg = drawing.FILE.read_text(encoding="utf-8")
    assert svg == drawing.overview().svg(), "run: python docs/overview.py"
    assert float(xml.etree.ElementTree.fromstring(svg).get("width")) < 450  # px; its words are not shrunk much


def test_pictures_of_fusions_are_fresh():
    pictures = script("docs/fusion/draw.py").PICTURES
    drawn = {path.stem: path.read_text(encoding="utf-8") for path in (ROOT / "docs/fusion").glob("*.svg")}
    assert drawn == {name: draw().svg() for name, draw in pictures.items()}, "run: python docs/fusion/draw.py"
    for name, svg in drawn.items():
        xml.etree.ElementTree.fromstring(svg)
        shown = [page for page in PAGES if f"]({name}.svg)" in page.read_text(encoding="utf-8")]
        assert len(shown) == 1, name


def test_every_fusion_has_a_page_and_says_there_what_an_absent_input_does():
    pages = [page for page in (ROOT / "docs/fusion").glob("*.md") if page.stem not in {"index", "stage"}]
    own = [n for n in registry.names("fusions") if registry.load("fusions", n).__module__.startswith("polymodal.")]
    titles = {page: page.read_text(encoding="utf-8").splitlines()[0] for page in pages}
    named = [name for title in titles.values() for name in title.partition(": ")[2].split(", ")]
    assert sorted(named) == sorted(own)
    for page, title in titles.items():
        absent = page.read_text(encoding="utf-8").partition("## An absent input")[2].partition("\n## ")[0]
        assert len(absent) > 100
        several = title.partition(": ")[2].split(", ")
        alike = {"gates", "concatenation"}  # one rule for all of the page
        assert page.stem in alike or all(f"`{name}`" in absent for name in several), page


def test_defaults_page_and_readme_name_every_part():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for kind in ("fusions", "tasks", *(f"encoders/{name}" for name in registry.names("encoders"))):
        for name in registry.names(kind):
            if registry.load(kind, name).__module__.startswith("polymodal."):
                assert f"`{name}`" in readme, f"README lacks {kind}/{name}"


def test_readme_is_short_and_its_map_is_right():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < 150
    entries = next(code for code in blocks(ROOT / "README.md", "text") if code.startswith("src/")).splitlines()
    for entry in entries:
        name = entry.split()[0]
        assert (ROOT / ("src/polymodal" if entry.startswith("  ") else "") / name).exists(), name


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES])
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_decisions_are_short():
    for page in (ROOT / "docs/decisions").glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 20 and all(f"**{part}.**" in text for part in ("Context", "Choice", "Price"))


def test_site_builds_without_a_warning(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site/how-to/add-a-fusion/index.html").exists()
    reference = "".join(page.read_text(encoding="utf-8") for page in (tmp_path / "site/reference/api").rglob("*.html"))
    described = set(re.findall(r'id="(polymodal\.[\w.]+)"', reference))
    assert [names for names in public_names() if not names & described] == []


def public_names() -> list[set[str]]:
    """What a program may use, each by its short and its full name."""
    modules = (polymodal, polymodal.testing)
    found = [(f"{module.__name__}.{name}", getattr(module, name)) for module in modules for name in module.__all__]
    found += [
        (f"polymodal.errors.{name}", it)
        for name, it in vars(errors).items()
        if isinstance(it, type) and issubclass(it, Exception)
    ]
    methods = ("fit", "partial_fit", "predict", "predict_proba", "score", "evaluate", "evaluate_subsets", "save")
    own = [{f"polymodal.Classifier.{name}"} for name in methods]
    return own + [{name, f"{it.__module__}.{it.__qualname__}"} for name, it in found]


def test_the_command_line_page_has_defaults_and_the_forms_that_turn_off():
    page = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    lines = {line.split(" | ")[0].strip("| "): line.split(" | ")[1] for line in page.splitlines() if line[:3] == "| `"}
    assert lines["`--media`, `--no-media`"] == "`--media`"
    assert lines["`--repeats REPEATS`"] == "`1`" and lines["`--overwrite`"] == "off"
    assert lines["`-o OUT`, `--output OUT`"] == lines["`TABLE`"] == "needed"
