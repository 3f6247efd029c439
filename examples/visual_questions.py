"""Visual question answering: how many drawings, in which corner, on which colour? A picture, a question, an answer.

python examples/visual_questions.py
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import cycle
from pathlib import Path
from textwrap import fill

import numpy as np
from _frame import options, print_figures, read, side
from matplotlib.figure import Figure
from PIL import Image

import polymodal as pm

COLOURS = {"red": (225, 60, 50), "green": (60, 170, 75), "blue": (60, 90, 215), "yellow": (245, 205, 60)}
CORNERS = ("top left", "top right", "bottom left", "bottom right")
PLACES = ((0, 0), (0, 2), (1, 1), (2, 0), (2, 2))  # row and column of the tiles, in the order of reading
NUMBERS = ("one", "two", "three", "four", "five")
ORDINALS = ("first", "second", "third", "fourth")
TILE, DRAWING, SIDE = 24, 20, 72  # pixels
SHOWN = 8
KINDS = ("count", "corner", "colour")


def main(words: Sequence[str] | None = None) -> None:
    given = options(__doc__, words, recipe="emoji")

    # The table: scenes of one to five drawings on coloured tiles, a question about each, and its answer. The drawings
    # of test scenes are in no training scene. Answers are balanced: within a kind of question each is as frequent as
    # the others, so that nobody can guess.
    rows = given.rows or 20_000
    drawings = read(given.table, None)
    folder = given.output / "visual_questions_scenes"
    path = build(folder, {name: files(side(drawings, name)) for name in ("train", "test")}, rows)
    table = pm.read_table(path)
    print(f"{table.num_rows} questions, for example: {table.values('question')[0]} {table.values('answer')[0]}")

    # Train twice: on pictures and questions, and on questions alone. The tokens of both inputs are kept, so that the
    # decoder can attend to the words of the question and to the places of the picture.
    asked = table.without(["kind"])
    model = answering(given.epochs or 20).fit(asked, y="answer")
    blind = answering(given.epochs or 20).fit(asked.without(["picture"]), y="answer")

    # Evaluate: chrF of all answers, then the share of right answers to each kind of question.
    print_figures(model, ["chrf", "exact_match"])
    test = side(table, "test")
    true, kinds = test.values("answer"), np.array(test.values("kind"))
    answers = {"picture and question": model.predict(test), "question alone": blind.predict(test)}
    shares = {who: shares_right(said, true, kinds, KINDS) for who, said in answers.items()}
    shares["chance"] = [1 / len(NUMBERS), 1 / len(CORNERS), 1 / len(COLOURS)]
    print_shares("kind of question", shares, KINDS)
    chart = given.output / "visual_questions.svg"
    draw_shares(chart, shares, KINDS)
    print(f"Picture: {chart}")

    picture = given.output / "visual_questions.png"
    show(picture, test.take(np.arange(min(SHOWN, test.num_rows))), answers["picture and question"])
    print(f"Picture: {picture}")

    # Save.
    size = model.save(given.output / "visual_questions")
    again = pm.load(given.output / "visual_questions")
    row = test.take(np.array([0]))
    print(f"\nSaved in {size / 1e6:.1f} MB; asked again: {row.values('question')[0]} {again.predict(row)[0]}")


def answering(epochs: int, side: int = SIDE) -> pm.Generator:
    """A model whose picture is a grid of tokens, and whose answers are written word by word.

    Such answers are exact: they are learned sooner without what is meant against memorising, dropout, masked inputs and
    smoothed labels. A picture that is mirrored would have other corners.
    """
    exact = {"dropout": 0.0, "width": 96}
    decoder = {"name": "transformer", "layers": 1, **exact}
    config = {
        "split": {"column": "split"},
        "modalities": {"image": {"size": side}},
        "encoders": {
            "image": {"name": "vit", "patch": TILE, "layers": 1, "spatial_tokens": True, **exact},
            "text": {"name": "embedding", "dropout": 0.0},
        },
        "fusion": {"name": "attention", "pool": "none", "layers": 3, **exact},
        "task": {"name": "generate", "label_smoothing": 0.0, "decoder": decoder},
        "train": {"augment": False, "modality_dropout": 0.0, "optimizer": {"lr": 0.0015}, "final": "best"},
    }
    return pm.Generator(epochs=epochs, config=config, verbose=True)


def build(folder: Path, drawings: dict[str, list[Path]], rows: int, seed: int = 0) -> Path:
    """Writes table.csv and the scenes: four fifths of the rows on the drawings of `train`, the others on `test`."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "table.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", "question", "answer", "kind", "split"])
        for name, count in (("train", rows - rows // 5), ("test", rows // 5)):
            for number, (kind, question, answer, scene) in zip(range(count), questions(rng), strict=False):
                picture = f"{name}_{number}.png"
                draw(scene, drawings[name], rng).save(folder / picture)
                writer.writerow([picture, question, answer, kind, name])
    return table


def questions(rng: np.random.Generator) -> Iterator[tuple[str, str, str, dict[int, str]]]:
    """Kind, question, answer and scene (by place, the colour of its tile), without end; answers take turns."""
    counts, corners, colours = cycle(NUMBERS), cycle(CORNERS), cycle(COLOURS)
    for kind in cycle(KINDS):
        if kind == "count":
            answer = next(counts)
            scene = colour(rng, some(rng, NUMBERS.index(answer) + 1))
            yield kind, "How many pictures are there?", answer, scene
        elif kind == "corner":
            answer = next(corners)
            place = (0, 1, 3, 4)[CORNERS.index(answer)]
            others = [other for other in some(rng, int(rng.integers(2, 6))) if other != place]
            said = str(rng.choice(list(COLOURS)))
            scene = {place: said, **colour(rng, others, never=said)}
            yield kind, f"In which corner is the picture on the {said} tile?", answer, scene
        else:
            answer = next(colours)
            scene = colour(rng, some(rng, int(rng.integers(1, 6))))
            k = int(rng.integers(min(len(scene), len(ORDINALS))))
            scene[sorted(scene)[k]] = answer
            yield kind, f"Which colour has the tile of the {ORDINALS[k]} picture?", answer, scene


def some(rng: np.random.Generator, count: int) -> list[int]:
    """So many places, drawn at random."""
    return sorted(int(place) for place in rng.choice(len(PLACES), count, replace=False))


def colour(rng: np.random.Generator, places: Sequence[int], never: str | None = None) -> dict[int, str]:
    """A colour for each place, drawn at random."""
    return {place: str(rng.choice([name for name in COLOURS if name != never])) for place in places}


def draw(
    scene: dict[int, str],
    drawings: Sequence[Path],
    rng: np.random.Generator,
    places: Sequence[tuple[int, int]] = PLACES,
) -> Image.Image:
    """The scene on white; which drawings are on its tiles is drawn at random."""
    side = TILE * (1 + max(max(place) for place in places))
    canvas = Image.new("RGB", (side, side), "white")
    for place, name in scene.items():
        row, column = places[place]
        canvas.paste(COLOURS[name], (column * TILE, row * TILE, (column + 1) * TILE, (row + 1) * TILE))
        with Image.open(drawings[int(rng.integers(len(drawings)))]) as opened:
            drawing = opened.convert("RGB").resize((DRAWING, DRAWING), Image.Resampling.LANCZOS)
        # What is white in a drawing shows the tile.
        seen = Image.eval(drawing.convert("L"), lambda grey: 255 * (grey < 245))
        corner = (column * TILE + (TILE - DRAWING) // 2, row * TILE + (TILE - DRAWING) // 2)
        canvas.paste(drawing, corner, seen)
    return canvas


def show(path: Path, table: pm.Table, answers: Sequence[str]) -> None:
    """Scenes with their questions and the answers of the model; wrong ones with the right one."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    columns = (table.values(name) for name in ("picture", "question", "answer"))
    for axis, (scene, question, true), said in zip(
        figure.subplots(2, SHOWN // 2).flat, zip(*columns, strict=True), answers, strict=False
    ):
        with Image.open(table.folder / str(scene)) as opened:
            axis.imshow(opened)
        axis.set_xticks([]), axis.set_yticks([])
        axis.set_title(fill(str(question), 24), fontsize=9)
        right = said == true
        axis.set_xlabel(said if right else f"{said} (right: {true})", color="green" if right else "firebrick")
    figure.savefig(path, dpi=90)


def shares_right(said: Sequence[str], true: Sequence[object], kinds: np.ndarray, names: Sequence[str]) -> list[float]:
    """The share of right answers to each kind of question."""
    right = np.array([one == other for one, other in zip(said, true, strict=True)])
    return [float(right[kinds == name].mean()) for name in names]


def print_shares(title: str, shares: dict[str, list[float]], names: Sequence[str]) -> None:
    """Shares of right answers, a line for each kind of question and a column for each who answered."""
    print("\n" + "".join(f"{word:24}" for word in (title, *shares)).rstrip())
    for place, name in enumerate(names):
        print("".join(f"{word:24}" for word in (name, *(f"{of[place]:.3f}" for of in shares.values()))).rstrip())


def draw_shares(path: Path, shares: dict[str, list[float]], names: Sequence[str]) -> None:
    """Shares of right answers, by kind of question and by who answered."""
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axis = figure.subplots()
    for place, (who, values) in enumerate(shares.items()):
        axis.bar(np.arange(len(names)) + 0.27 * (place - 1), values, 0.25, label=who)
    axis.set_xticks(range(len(names)), labels=names)
    axis.set(ylabel="share of right answers", ylim=(0, 1.25))
    axis.legend(loc="upper center", ncols=3)
    figure.savefig(path)


def files(table: pm.Table) -> list[Path]:
    """The drawings of a table."""
    return [table.folder / str(name) for name in table.values("image")]


if __name__ == "__main__":
    main()
