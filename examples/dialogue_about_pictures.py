"""Dialogue about pictures: three turns each, of which the later ones can only be answered with the earlier ones.

python examples/dialogue_about_pictures.py
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import fill

import numpy as np
from _frame import options, print_figures, read, side
from matplotlib.figure import Figure
from PIL import Image
from visual_questions import COLOURS, TILE, answering, draw, draw_shares, files, print_shares, shares_right

import polymodal as pm

TURNS = ("first turn", "second turn", "third turn")
SIDES = ("left", "right")
PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))  # row and column of the tiles, in the order of reading
SHOWN = 6
Turns = list[tuple[str, str]]
"""Questions with their answers."""


def main(words: Sequence[str] | None = None) -> None:
    given = options(__doc__, words, recipe="emoji")

    # The table: a row is a turn of a dialogue about a scene of two drawings on tiles of different colours. The turns
    # before it are one more column, `history`, a list of texts; in a first turn it is empty. The drawings of test
    # scenes are in no training scene, and all turns of a dialogue are on one side of the split.
    rows = given.rows or 9_000
    drawings = read(given.table, None)
    folder = given.output / "dialogue_about_pictures_scenes"
    path = build(folder, {name: files(side(drawings, name)) for name in ("train", "test")}, rows)
    table = pm.read_table(path)
    print(f"{table.num_rows} turns, for example: {table.values('history')[2]} {table.values('question')[2]}")

    # Train twice: with the turns before, and without them. The model is that of visual_questions.py.
    asked = table.without(["turn"])
    model = answering(given.epochs or 5, side=2 * TILE).fit(asked, y="answer")
    forgetful = answering(given.epochs or 5, side=2 * TILE).fit(asked.without(["history"]), y="answer")

    # Evaluate: chrF of all answers, then the share of right ones in each turn. Without the turns before, nobody knows
    # which of the two tiles is the first one, nor, in the third turn, whether its colour or its side is asked for.
    print_figures(model, ["chrf", "exact_match"])
    test = side(table, "test")
    true, turns = test.values("answer"), np.array(test.values("turn"))
    answers = {"with history": model.predict(test), "without history": forgetful.predict(test)}
    shares = {who: shares_right(said, true, turns, TURNS) for who, said in answers.items()}
    shares["guess without history"] = [1.0, 1 / 2, 1 / 4]
    print_shares("turn", shares, TURNS)
    chart = given.output / "dialogue_about_pictures.svg"
    draw_shares(chart, shares, TURNS)
    print(f"Picture: {chart}")

    picture = given.output / "dialogue_about_pictures.png"
    show(picture, test, answers["with history"])
    print(f"Picture: {picture}")

    # Save, and talk: now the history holds what the model itself has answered.
    size = model.save(given.output / "dialogue_about_pictures")
    again = pm.load(given.output / "dialogue_about_pictures")
    history: list[str] = []
    for question in test.values("question")[: len(TURNS)]:
        scene = str(test.folder / str(test.values("picture")[0]))
        answer = again.predict({"picture": [scene], "history": [history or None], "question": [question]})[0]
        history += [str(question), str(answer)]
    print(f"\nSaved in {size / 1e6:.1f} MB; a dialogue: {' '.join(history)}")


def build(folder: Path, drawings: dict[str, list[Path]], rows: int, seed: int = 0) -> Path:
    """Writes table.csv and the scenes: four fifths of the dialogues with drawings of `train`, the others of `test`."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    table, count = folder / "table.csv", rows // len(TURNS)
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["picture", "history", "question", "answer", "turn", "split"])
        for name, number in (("train", count - count // 5), ("test", count // 5)):
            for place, (scene, turns) in zip(range(number), dialogues(rng), strict=False):
                picture = f"{name}_{place}.png"
                draw(scene, drawings[name], rng, PLACES).save(folder / picture)
                history: list[str] = []
                for turn, (question, answer) in zip(TURNS, turns, strict=True):
                    before = json.dumps(history) if history else ""
                    writer.writerow([picture, before, question, answer, turn, name])
                    history += [question, answer]
    return table


def dialogues(rng: np.random.Generator) -> Iterator[tuple[dict[int, str], Turns]]:
    """A scene (by place, the colour of its tile) and three questions with their answers, without end."""
    while True:
        colour, other_colour = (str(name) for name in rng.choice(list(COLOURS), 2, replace=False))
        column = int(rng.integers(2))
        where, other_where = SIDES[column], SIDES[1 - column]
        row, other_row = (int(number) for number in rng.integers(2, size=2))
        scene = {2 * row + column: colour, 2 * other_row + 1 - column: other_colour}
        known, last = f"One tile is {colour}, on the {where}.", "And the first one?"
        if rng.integers(2):
            first, second = (f"{known} What colour is the other?", other_colour), ("And where is it?", other_where)
            yield scene, [first, second, (last, where)]
        else:
            first, second = (f"{known} Where is the other?", other_where), ("And what colour is it?", other_colour)
            yield scene, [first, second, (last, colour)]


def show(path: Path, table: pm.Table, answers: Sequence[str]) -> None:
    """Scenes with what is asked, and what the model answers; beside a wrong answer the right one."""
    figure = Figure(figsize=(9, 6), layout="constrained")
    pictures, questions, true = (table.values(name) for name in ("picture", "question", "answer"))
    for axis, start in zip(figure.subplots(2, SHOWN // 2).flat, range(0, len(pictures), len(TURNS)), strict=False):
        with Image.open(table.folder / str(pictures[start])) as opened:
            axis.imshow(opened)
        axis.set_xticks([]), axis.set_yticks([])
        turns = slice(start, start + len(TURNS))
        lines = [
            fill(f"{question} {said}" + ("" if said == right else f" (right: {right})"), 36)
            for question, said, right in zip(questions[turns], answers[turns], true[turns], strict=True)
        ]
        axis.set_xlabel("\n".join(lines), fontsize=9)
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
