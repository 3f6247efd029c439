"""Word times: when each word of a text is spoken, from synthetic speech in noise whose times are known.

python examples/word_times.py
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from _frame import options, print_figures, read
from matplotlib.figure import Figure

import polymodal as pm
from polymodal.datasets._speech import Utterance, speak_words
from polymodal.inference.timing import TimedText, Timing

VOICES = ("f1", "f2", "f3", "f4", "m1", "m3", "m5", "m7")
RATE = 8_000  # Hz
NOISE = 10  # dB below the speech
WRONG = 50  # texts of other recordings


def main(words: Sequence[str] | None = None) -> None:
    given = options(__doc__, words, recipe="emoji")

    # The table: eSpeak NG says the names of emoji, one to three in a row, in eight voices and in noise; it tells when
    # each word begins. 2,000 sentences are for training, 200 others for the test.
    count = given.rows or 2_200
    names = [str(name) for name in read(given.table, None).values("name")]
    table = pm.read_table(build(given.output / "word_times_speech", names, count))
    is_test = np.arange(count) >= count - count // 11
    print(f"{count} sentences, for example: {table.values('text')[0]}")

    # Train a model of speech to text. Steps of 20 ms instead of 40 make times finer.
    # Synthetic voices are much alike: a smaller network than the default does, and learns in minutes.
    small = {"name": "rnn", "cell": "gru", "width": 128, "features": {"band_masks": 0, "time_masks": 0}}
    config = {
        "task": {"name": "transcribe", "token_seconds": 0.02},
        "encoders": {"audio": small},
        "split": {"column": "split"},
    }
    heard = table.without(["words"])
    model = pm.Estimator(epochs=given.epochs or 20, config=config, verbose=True).fit(heard, y="text")
    print_figures(model, ["cer", "wer"])

    # Align: the right text of every test sentence, and of some the text of the next one.
    test = heard.take(np.flatnonzero(is_test))
    truth = [json.loads(str(cell)) for cell in table.take(np.flatnonzero(is_test)).values("words")]
    timing = Timing(model.bundle_)
    found = timing(test, text="text")
    errors = np.concatenate([differences(one, known) for one, known in zip(found, truth, strict=True)])
    if len(errors):
        middle, near, late = 1000 * np.median(np.abs(errors)), np.mean(np.abs(errors) <= 0.1), 1000 * np.median(errors)
        print(f"\nword starts: median error {middle:.0f} ms, {near:.1%} within 100 ms; median lateness {late:+.0f} ms")
    refused = sum(one.refusal is not None for one in found[:WRONG])
    texts = test.values("text")
    swapped = test.without(["text"]).with_column("text", texts[1:] + texts[:1]).take(np.arange(min(WRONG, len(texts))))
    wrong = timing(swapped, text="text")
    print(f"refused: {refused} of {min(WRONG, len(texts))} right texts, "
          f"{sum(one.refusal is not None for one in wrong)} of {len(wrong)} wrong ones")  # fmt: skip

    picture = given.output / "word_times.png"
    draw(picture, test.folder / str(test.values("audio")[0]), found[0], truth[0])
    print(f"Picture: {picture}")

    # Save.
    size = model.save(given.output / "word_times")
    print(f"\nSaved in {size / 1e6:.1f} MB.")


def build(folder: Path, names: Sequence[str], count: int, seed: int = 0) -> Path:
    """Writes table.csv and the recordings: the last eleventh of the sentences is for the test."""
    rng = np.random.default_rng(seed)
    (folder / "media").mkdir(parents=True, exist_ok=True)
    texts = [" and ".join(rng.choice(names, int(rng.integers(1, 4)), replace=False)) for _ in range(count)]
    utterances = [Utterance(text, f"en-us+{rng.choice(VOICES)}", rate=int(rng.integers(140, 190))) for text in texts]
    table = folder / "table.csv"
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["audio", "text", "words", "split"])
        for row, (wave, words) in enumerate(speak_words(utterances, sample_rate=RATE)):
            noise = rng.normal(size=len(wave)) * np.sqrt(np.mean(wave**2)) * 10 ** (-NOISE / 20)
            soundfile.write(folder / f"media/{row}.wav", np.clip(0.5 * (wave + noise), -1, 1), RATE)
            starts = json.dumps([[texts[row][word.place :].split()[0], word.start] for word in words])
            split = "test" if row >= count - count // 11 else "train"
            writer.writerow([f"media/{row}.wav", texts[row], starts, split])
    return table


def differences(found: TimedText, known: Sequence[tuple[str, float]]) -> np.ndarray:
    """By how many seconds each word of a text begins too late; words that eSpeak says as one with the next are out."""
    texts = [word.text for word in found.words]
    late = []
    place = 0
    for word, start in known:
        if word in texts[place:]:
            place = texts.index(word, place)
            late.append(found.words[place].start - start)
            place += 1
    return np.array(late)


def draw(path: Path, recording: Path, found: TimedText, known: Sequence[tuple[str, float]]) -> None:
    """The spectrogram of a recording, the beginnings that were found in it, and dotted the true ones."""
    wave, rate = soundfile.read(recording)
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    axis = figure.subplots()
    axis.specgram(wave, NFFT=256, Fs=rate, noverlap=192, cmap="Greys")
    for word in found.words:
        axis.axvline(word.start, color="tab:red")
        axis.text(word.start, 1.01 * rate / 2, word.text, rotation=30, fontsize=8)
    for _, start in known:
        axis.axvline(start, color="tab:blue", linestyle=":")
    axis.set(xlabel="seconds", ylabel="Hz")
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
