"""Action in clips: does the figure attack, move, die or idle? One picture would not say.

python examples/action_in_clips.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from _frame import options, print_figures, read, side
from matplotlib.figure import Figure

import polymodal as pm

SHOWN, FRAMES = 3, 6


def main(words: Sequence[str] | None = None) -> None:
    given = options(__doc__, words, recipe="sprites")

    # The table: a clip of 3 to 16 frames in every row. How many frames there are and who is shown stay out: the first
    # gives some actions away, the second says nothing about a figure that is new. A figure is on one side of the split.
    table = read(given.table, given.rows)
    table = table.without([name for name in table.names if name not in ("video", "label", "split")])
    print(f"{table.num_rows} clips, for example {table.values('video')[0]}: {table.values('label')[0]}")

    # Train. The default sees every frame and what changes from one to the next. So few rows get 40 epochs unless you
    # say otherwise; half of them keep this short.
    model = pm.Classifier(epochs=given.epochs or 20, config={"split": {"column": "split"}}, verbose=True)
    model.fit(table, y="label")

    # Evaluate. `linear` is logistic regression on the first, last and mean frame and the mean change.
    print_figures(model, ["accuracy", "macro_f1", "log_loss"])

    # Look at mistakes: by action, then the surest ones as film strips.
    test = side(table, "test")
    probability = model.predict_proba(test)
    seen, true = model.classes_[probability.argmax(axis=1)], np.array(test.values("label"))
    print()
    for action in model.classes_:
        rows = true == action
        print(f"{action:8} {np.sum(seen[rows] == action):3} of {rows.sum():3} found; {np.sum(seen == action):3} said")
    order = np.argsort(-probability.max(axis=1))
    right, wrong = order[(seen == true)[order]], order[(seen != true)[order]]
    picture = given.output / "action_in_clips.png"
    shown = [*right[:: max(1, len(right) // SHOWN)][:SHOWN], *wrong[:SHOWN]]
    clips = [test.folder / str(test.values("video")[row]) for row in shown]
    draw(picture, clips, [f"{true[row]}: seen as\n{seen[row]} ({probability[row].max():.2f})" for row in shown])

    # Save.
    size = model.save(given.output / "action_in_clips")
    again = pm.load(given.output / "action_in_clips").predict(test.take(np.array([0])))
    print(f"\nSaved in {size / 1e6:.1f} MB; loaded again, it sees {again[0]} in the first test row.")
    print(f"Picture: {picture}")
    chart = given.output / "action_in_clips.svg"
    draw_confusion(chart, true, seen, model.classes_)
    print(f"Picture: {chart}")


def draw(path: Path, clips: Sequence[Path], titles: Sequence[str]) -> None:
    """Some frames of each clip in a line."""
    figure = Figure(figsize=(9, 1.3 * len(clips)), layout="constrained")
    grid = figure.subplots(len(clips), FRAMES + 1, squeeze=False)
    for line, clip, title in zip(grid, clips, titles, strict=True):
        with av.open(str(clip)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        for axis in line:
            axis.set_axis_off()
        line[0].text(0, 0.5, title, va="center", transform=line[0].transAxes)
        for axis, number in zip(line[1:], np.linspace(0, len(frames) - 1, FRAMES).round().astype(int), strict=True):
            axis.imshow(frames[number])
    figure.savefig(path, dpi=80)


def draw_confusion(path: Path, true: np.ndarray, seen: np.ndarray, classes: np.ndarray) -> None:
    """What each action was seen as, as shares of its clips."""
    figure = Figure(figsize=(7, 2.6), layout="constrained")
    axis, left = figure.subplots(), np.zeros(len(classes))
    for found in classes:
        share = np.array([np.mean(seen[true == action] == found) for action in classes])
        axis.barh(list(classes), share, left=left, label=f"seen as {found}")
        left += share
    axis.invert_yaxis()
    axis.set(xlabel="share of the test clips of an action", xlim=(0, 1))
    figure.legend(loc="outside right upper", frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
