"""Sentiment from words, voice and face, of which each alone misleads. The table is synthetic, and built here.

python examples/sentiment.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _frame import options, print_figures, read, side
from matplotlib.figure import Figure
from PIL import Image
from sentiment_table import build

import polymodal as pm

SENSES = {"words": "sentence", "voice": "voice", "face": "face"}
SHOWN = 6


def main(words: Sequence[str] | None = None) -> None:
    given = options(__doc__, words, recipe=None)

    # The table: 800 sentences, their recordings and the speakers' faces; synthetic, as `sentiment_table.py` tells.
    # Some faces and recordings are missing. Test rows are spoken by voices that training does not hear.
    path = given.table or build(given.output / "sentiment_table", given.rows or 800)
    table = read(path, given.rows)
    print(f"{path}, synthetic: {table.num_rows} rows with {', '.join(SENSES.values())}; some cells are missing")

    # Train: one model for each sense alone, and one for all.
    models = {}
    for name, column in SENSES.items():
        others = [other for other in SENSES.values() if other != column]
        models[f"{name} only"] = train(table.without(others), given.epochs)
    fused = models["all three"] = train(table, given.epochs)

    # Evaluate. Where the intervals do not touch, all three are better than one by more than chance.
    accuracy = {name: model.bundle_.metrics.test["accuracy"] for name, model in models.items()}
    for name, of in accuracy.items():
        print(f"{name:12} accuracy {of.value:.3f} [{of.low:.3f}, {of.high:.3f}]")
    print()
    print_figures(fused, ["accuracy", "log_loss", "ece"])

    # Look at rows where the words mislead: what the words say, and what the whole says.
    test = side(table, "test")
    true, seen = np.array(test.values("mood")), fused.predict(test)
    read_only = models["words only"].predict(test)
    saved = np.flatnonzero(
        (read_only != true) & (seen == true) & np.array([bool(cell) for cell in test.values("face")])
    )
    print(f"\nThe words alone mislead in {np.sum(read_only != true)} of {len(true)} test rows; with voice and face,")
    print(f"{np.sum((read_only != true) & (seen == true))} of these are right. Some of them:")
    for row in saved[:SHOWN]:
        print(f"  {test.values('sentence')[row]}  words: {read_only[row]}, all three: {seen[row]}")
    picture = given.output / "sentiment.svg"
    faces = [test.folder / str(test.values("face")[row]) for row in saved[:SHOWN]]
    titles = [f"{test.values('sentence')[row]}\nmood: {true[row]}" for row in saved[:SHOWN]]
    draw(picture, accuracy, faces, titles)

    # Save, and predict a row of words alone: a model of three senses takes what it gets.
    size = fused.save(given.output / "sentiment")
    asked = {"sentence": ["The film was a delight."], "voice": [None], "face": [None]}
    again = pm.load(given.output / "sentiment").predict(asked)
    print(
        f"\nSaved in {size / 1e6:.1f} MB; loaded again: {asked['sentence'][0]!r} without voice and face is {again[0]}."
    )
    print(f"Picture: {picture}")


def train(table: pm.Table, epochs: int | None) -> pm.Classifier:
    """A classifier with all defaults."""
    return pm.Classifier(epochs=epochs, config={"split": {"column": "split"}}, verbose=True).fit(table, y="mood")


def draw(path: Path, accuracy: dict[str, dict[str, float]], faces: Sequence[Path], titles: Sequence[str]) -> None:
    """How right each model is; and faces that told what the words did not."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    left, right = figure.subfigures(1, 2)
    bars = left.subplots()
    values = np.array([[of.value, of.low, of.high] for of in accuracy.values()]).T
    bars.bar(list(accuracy), values[0], color=["lightsteelblue"] * (len(accuracy) - 1) + ["steelblue"])
    bars.errorbar(list(accuracy), values[0], np.abs(values[1:] - values[0]), fmt="none", ecolor="black", capsize=4)
    bars.set(ylabel="accuracy over the test rows, 95 %", ylim=(0, 1))
    for axis in (grid := right.subplots(2, SHOWN // 2)).flat:
        axis.set_axis_off()
    for axis, face, title in zip(grid.flat, faces, titles, strict=False):
        with Image.open(face) as opened:
            axis.imshow(opened)
        axis.set_title(title, fontsize=7)
    figure.savefig(path)


if __name__ == "__main__":
    main()
