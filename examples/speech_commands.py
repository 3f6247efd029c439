"""Speech commands: which digit is said, in noise, by voices that training has not heard.

python examples/speech_commands.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from _frame import options, print_figures, read, side
from matplotlib.figure import Figure

import polymodal as pm


def main(words: Sequence[str] | None = None) -> None:
    given = options(__doc__, words, recipe="avdigits")

    # The table: a recording of one second in every row. It also has pictures and hints, which would help; this
    # example leaves them out. The column `split` puts whole voices on one side: test voices are new to the model.
    table = read(given.table, given.rows).without(["id", "image", "hint"])
    config = pm.RunConfig(target="label", split={"column": "split"})
    print(pm.inspect(table, config=config))

    # Train. Nothing is said about spectrograms or networks: a column of recordings gets the defaults for recordings.
    model = pm.Classifier(epochs=given.epochs, config=config, verbose=True).fit(table)

    # Evaluate. `linear` is logistic regression on averaged MFCC, `majority` always says the commonest digit.
    print_figures(model, ["accuracy", "log_loss", "ece"])

    # Look at mistakes, the surest first: which file, what was said, and what the model heard.
    test = side(table, "test")
    probability = model.predict_proba(test)
    heard = model.classes_[probability.argmax(axis=1)]
    said = np.array(test.values("label"))
    wrong = np.flatnonzero(heard != said)
    surest = wrong[np.argsort(-probability.max(axis=1)[wrong])]
    print(f"\n{len(wrong)} of {len(said)} test rows are wrong; the surest of them:")
    for row in surest[:5]:
        print(f"{test.values('audio')[row]}: {said[row]} heard as {heard[row]} ({probability[row].max():.2f})")

    picture = given.output / "speech_commands.png"
    shown = str(test.values("audio")[surest[0] if len(surest) else 0])
    draw(picture, said, heard, model.classes_, recording=test.folder / shown)

    # Save. The folder holds everything that is needed to predict, and no code.
    size = model.save(given.output / "speech_commands")
    again = pm.load(given.output / "speech_commands").predict(test.take(np.array([0])))
    print(f"\nSaved in {size / 1e6:.1f} MB; loaded again, it hears {again[0]} in the first test row.")
    print(f"Picture: {picture}")


def draw(path: Path, said: np.ndarray, heard: np.ndarray, classes: np.ndarray, recording: Path) -> None:
    """What is taken for what, and the sound of the surest mistake."""
    counts = np.array([[np.sum((said == true) & (heard == found)) for found in classes] for true in classes])
    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.2])
    left.imshow(np.sqrt(counts), cmap="Blues")
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if counts[row, column] > counts.max() / 2 else "black"
        left.text(column, row, counts[row, column], ha="center", va="center", color=colour, fontsize=8)
    left.set(xticks=range(len(classes)), yticks=range(len(classes)), xlabel="heard", ylabel="said")
    left.set_xticks(range(len(classes)), classes)
    left.set_yticks(range(len(classes)), classes)
    wave, rate = soundfile.read(recording)
    right.specgram(wave, NFFT=256, Fs=rate, noverlap=192, cmap="magma")
    right.set(xlabel="seconds", ylabel="Hz", title=f"{recording.name}, the surest mistake", ylim=(0, 4_000))
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
