"""Question answering: how many pictures, where is the red tile, which colour is the tile of the second one?

python examples/questions_about_pictures.py
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _frame import options, read, side
from PIL import Image

import polymodal as pm

COLOURS = {"red": (220, 50, 47), "green": (70, 150, 70), "blue": (38, 110, 210), "yellow": (240, 200, 40),
           "purple": (140, 70, 160), "grey": (150, 150, 150)}  # fmt: skip
PLACES = {"top left": (0, 0), "top right": (2, 0), "centre": (1, 1), "bottom left": (0, 2), "bottom right": (2, 2)}
CORNERS = [name for name in PLACES if name != "centre"]
ORDINALS = ["first", "second", "third", "fourth", "fifth"]
TILE, DRAWN = 24, 18  # pixels
TRAIN, TEST = 6_000, 900  # questions


def main(words: Sequence[str] | None = None) -> None:
    given = options(__doc__, words, recipe="emoji")
    folder = given.output / "scenes"

    # The table: a scene of one to five drawings on coloured tiles, a question, an answer. The drawings of test scenes
    # are in no training scene. Every answer of a kind of question is as frequent as any other.
    path = build(given.table, folder, scale=1.0 if given.rows is None else given.rows / (TRAIN + TEST))
    table = read(path, None)
    print(f"{table.num_rows} questions, for example: {table.values('question')[0]} {table.values('answer')[0]}.")

    # Train. The answer is a text, so a Generator learns it; nothing says how picture and question belong together. A
    # model that only reads the question shows how much of an answer can be guessed.
    config = {
        "split": {"column": "split"},
        "drop": ["kind"],
        "task": {"name": "generate", "tokenizer": "words", "decoder": {"layers": 1}},
        "columns": {"scene": {"encoder": {"name": "cnn", "spatial_tokens": True, "grid": 6, "channels": 16}}},
        "fusion": {"name": "attention", "pool": "none", "layers": 2, "width": 96},
    }
    test = side(table, "test")
    kinds, true = np.array(test.values("kind")), np.array(test.values("answer"))
    model = pm.Generator(epochs=given.epochs or 16, config=config, verbose=True).fit(table, y="answer")
    blind = pm.Generator(epochs=given.epochs or 3, config={**config, "drop": ["kind", "scene"], "columns": {}})
    blind.fit(table, y="answer")
    answers, guesses = model.predict(test), blind.predict(test)

    # Evaluate by kind of question.
    print(f"\n{'kind':10}{'right':>8}{'question only':>16}{'chance':>9}")
    for kind in dict.fromkeys(kinds.tolist()):
        of_kind = kinds == kind
        chance = 1 / len(set(true[of_kind]))
        right = [np.mean(said[of_kind] == true[of_kind]) for said in (answers, guesses)]
        print(f"{kind:10}{right[0]:8.3f}{right[1]:16.3f}{chance:9.3f}")

    # Look at results.
    for row in np.linspace(0, test.num_rows - 1, 5).astype(int):
        cells = [test.values(name)[row] for name in ("scene", "question")]
        print(f"{cells[0]}: {cells[1]} {answers[row]} (true: {true[row]})")
    size = model.save(given.output / "questions")
    print(f"\nSaved in {size / 1e6:.1f} MB.")


def build(emoji: Path, folder: Path, *, scale: float = 1.0) -> Path:
    """Scenes of the drawings of the recipe `emoji`, and a table of questions and answers about them."""
    (folder / "media").mkdir(parents=True, exist_ok=True)
    rng, drawings = np.random.default_rng(0), pm.read_table(emoji)
    files = {name: [] for name in ("train", "test")}
    for image, name in zip(drawings.values("image"), drawings.values("split"), strict=True):
        files[str(name)].append(emoji.parent / str(image))
    with (folder / "table.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["scene", "question", "answer", "kind", "split"])
        for name, number in (("train", TRAIN), ("test", TEST)):
            for row in range(max(30, round(number * scale))):
                scene, *asked = one(rng, row, files[name])
                image = f"media/{name}_{row}.png"
                scene.save(folder / image)
                writer.writerow([image, *asked, name])
    return folder / "table.csv"


def one(rng: np.random.Generator, row: int, files: Sequence[Path]) -> tuple[Image.Image, str, str, str]:
    """A scene, a question about it, the answer, and what kind of question it is."""
    kind, turn = ("count", "corner", "colour")[row % 3], row // 3
    if kind == "count":
        number = 1 + turn % 5
        places = rng.permutation(list(PLACES))[:number].tolist()
        colours = rng.choice(list(COLOURS), number).tolist()
        question, answer = "How many pictures are there?", str(number)
    elif kind == "corner":
        corner = CORNERS[turn % 4]
        number = int(rng.integers(1, 6))
        others = rng.permutation([place for place in PLACES if place != corner])[: number - 1].tolist()
        places = [corner, *others]
        colours = ["red", *rng.choice([name for name in COLOURS if name != "red"], number - 1).tolist()]
        question, answer = "In which corner is the picture on the red tile?", corner
    else:
        answer = list(COLOURS)[turn % len(COLOURS)]
        number = int(rng.integers(1, 6))
        places = sorted(rng.permutation(list(PLACES))[:number].tolist(), key=list(PLACES).index)
        colours = rng.choice(list(COLOURS), number).tolist()
        asked = int(rng.integers(number))
        colours[asked] = answer
        question = f"Which colour has the tile of the {ORDINALS[asked]} picture?"
    return draw(rng, dict(zip(places, colours, strict=True)), files), question, answer, kind


def draw(rng: np.random.Generator, tiles: dict[str, str], files: Sequence[Path]) -> Image.Image:
    """Tiles of these colours in these places, on each a drawing."""
    scene = Image.new("RGB", (3 * TILE, 3 * TILE), (250, 250, 250))
    for place, colour in tiles.items():
        left, top = (TILE * step for step in PLACES[place])
        scene.paste(COLOURS[colour], (left, top, left + TILE, top + TILE))
        with Image.open(files[rng.integers(len(files))]) as opened:
            drawing = opened.convert("RGBA").resize((DRAWN, DRAWN))
        edge = (TILE - DRAWN) // 2
        scene.paste(drawing, (left + edge, top + edge), drawing)
    return scene


if __name__ == "__main__":
    main()
