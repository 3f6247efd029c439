"""Picture tagging: which words describe a drawing, any number of them out of hundreds.

python examples/picture_tagging.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _frame import options, print_figures, read, side
from matplotlib.figure import Figure
from PIL import Image

import polymodal as pm

SHOWN = 10


def main(words: Sequence[str] | None = None) -> None:
    given = options(__doc__, words, recipe="emoji")

    # The table: a drawing in every row, and its tags in one cell with bars between them: "cat|face|smile". The names
    # in four languages, the group and the subgroup stay out: what is wanted is a model that sees.
    table = read(given.table, given.rows)
    table = table.without([name for name in table.names if name not in ("image", "tags", "split")])
    print(f"{table.num_rows} drawings, for example {table.values('image')[0]}: {table.values('tags')[0]}")

    # Train. The bars say that there are several labels in a cell, so a Classifier takes the task `tag`. Tags of fewer
    # than five training rows are left out; the note says how many.
    model = pm.Classifier(epochs=given.epochs, config={"split": {"column": "split"}}, verbose=True)
    model.fit(table, y="tags")
    print(f"{len(model.classes_)} tags to choose from. {' '.join(model.bundle_.metrics.warnings)}")

    # Evaluate. Average precision is the mean over the tags: 1 if every drawing that has a tag comes before every one
    # that has not. By chance it is how common a tag is, which is what the baseline `prevalence` has.
    print_figures(model, ["macro_average_precision", "micro_average_precision", "ranking_precision"])

    # Look at results: the surest tags of a few test drawings, and the tags that are learned best and worst.
    test = side(table, "test")
    probability = model.predict_proba(test)
    true = [set(str(cell or "").split("|")) for cell in test.values("tags")]
    precision = {tag: average_precision(probability[:, k], [tag in tags for tags in true])
                 for k, tag in enumerate(model.classes_)}  # fmt: skip
    common = [tag for tag in precision if sum(tag in tags for tags in true) >= 3]  # of one drawing, it would be luck
    ranked = sorted(common, key=lambda tag: precision[tag])
    print("\nlearned best: ", ", ".join(f"{tag} {precision[tag]:.2f}" for tag in ranked[:-9:-1]))
    print("learned worst:", ", ".join(f"{tag} {precision[tag]:.2f}" for tag in ranked[:8]))

    picture = given.output / "picture_tagging.png"
    shown = np.linspace(0, test.num_rows - 1, SHOWN).astype(int)
    best = [[model.classes_[k] for k in np.argsort(-probability[row])[:4]] for row in shown]
    draw(picture, [test.folder / str(test.values("image")[row]) for row in shown], best, [true[row] for row in shown])

    # Save.
    size = model.save(given.output / "picture_tagging")
    again = pm.load(given.output / "picture_tagging").predict(test.take(shown[:1]))
    print(f"\nSaved in {size / 1e6:.1f} MB; loaded again, it is sure (above one half) of {again[0] or 'no tag'}.")
    print(f"Picture: {picture}")
    chart = given.output / "picture_tagging.svg"
    draw_precision(
        chart, {tag: precision[tag] for tag in ranked}, [sum(tag in tags for tags in true) for tag in ranked]
    )
    print(f"Picture: {chart}")


def average_precision(scores: np.ndarray, has: Sequence[bool]) -> float:
    """Mean over the rows that have the tag of the precision down to them; 0 where no row has it."""
    hits = np.array(has)[np.argsort(-scores, kind="stable")]
    return float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()) if hits.any() else 0.0


def draw(path: Path, pictures: Sequence[Path], best: Sequence[Sequence[str]], true: Sequence[set[str]]) -> None:
    """Drawings with their four surest tags; right ones in green."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    for axis, picture, tags, known in zip(figure.subplots(2, SHOWN // 2).flat, pictures, best, true, strict=True):
        with Image.open(picture) as opened:
            axis.imshow(opened.convert("RGBA"))
        axis.set_axis_off()
        for line, tag in enumerate(tags):
            colour = "green" if tag in known else "dimgrey"
            axis.text(0.5, -0.06 - 0.13 * line, tag, color=colour, ha="center", va="top", transform=axis.transAxes)
    figure.savefig(path, dpi=90)


def draw_precision(path: Path, precision: dict[str, float], counts: Sequence[int]) -> None:
    """Every tag by how many test drawings have it and how well it is found."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axis = figure.subplots()
    axis.scatter(counts, list(precision.values()), s=12, color="steelblue")
    named: list[tuple[int, float]] = []
    for (tag, value), count in sorted(zip(precision.items(), counts, strict=True), key=lambda pair: -pair[0][1]):
        free = all(count != other or abs(value - height) > 0.035 for other, height in named)
        if free and (value > 0.6 or count > 25):
            axis.annotate(tag, (count, value), xytext=(3, 3), textcoords="offset points", fontsize=8)
            named.append((count, value))
    axis.set(xscale="log", xlabel="test drawings that have the tag", ylabel="average precision", ylim=(0, 1.05))
    axis.set_xticks([3, 5, 10, 20, 50], labels=["3", "5", "10", "20", "50"])
    axis.minorticks_off()
    figure.savefig(path)


if __name__ == "__main__":
    main()
