"""Texts as outputs on real tables: speech to text, names of drawings, sentences about clips.

    python benchmarks/texts.py [--table NAME] [--data DIR]

- `english`: the English prompts, 424 rows to learn from and 139 to test; then with a beam kept to the training words.
- `languages`: one model of the prompts in five languages, characters of each.
- `drawings`: the names of emoji from their pictures, beside the nearest training picture's name.
- `clips`: a sentence from the people and the action of a sprite, beside the commonest sentence.

Texts are compared in lower case, in Unicode's composed form, with single blanks; marks count. Writes `texts.json`; what
is there already is kept: remove it to measure anew.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from goal import Goal
from tables import table_of

import polymodal as pm
from polymodal.bundles.bundle import save
from polymodal.config.run_config import make
from polymodal.evaluation.verdict import judge
from polymodal.inference.generation import searching
from polymodal.metrics.rows import RowStatistics
from polymodal.metrics.verdict import RunVerdict
from polymodal.pipeline.run import Run, train

RESULTS = Path(__file__).with_suffix(".json")
MEDIA = {"prompts": "audio", "emoji": "image", "sprites": "video"}
ACTIONS = {"attack": "attacks", "move": "moves", "die": "dies", "idle": "stands still"}
_SPEECH = {"task": {"name": "transcribe"}, "target": "text", "split": {"column": "split"}}
_TEXTS = {"task": {"name": "generate"}, "target": "text", "split": {"column": "split"}}


def main(words: list[str] | None = None) -> int:
    """The exit code: 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", action="append", choices=tuple(TABLES), help="default: all")
    parser.add_argument("--data", type=Path, help="folder with NAME/table.csv; without it, recipes build the tables")
    given = parser.parse_args(words)
    for name in given.table or TABLES:
        if name not in _log():
            goals = TABLES[name](given.data)
            RESULTS.write_text(json.dumps({**_log(), name: [goal.record() for goal in goals]}, indent=2) + "\n")
            print(*goals, sep="\n", flush=True)
    return int(not all(goal["passed"] for goals in _log().values() for goal in goals))


def english(data: Path | None) -> list[Goal]:
    """Character error rate of the English prompts; words with a beam that is kept to the training words."""
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), "prompts", data, lambda row: row["text"], lambda row: row["language"] == "en")
        run, seconds = _timed(path, _SPEECH)
        save(run.bundle, Path(folder) / "model")
        model, test = pm.load(Path(folder) / "model"), _test_rows(path)
        with searching(model.bundle_, {"name": "beam", "width": 16, "words": "training"}):
            beam = {name: figures["value"] for name, figures in model.evaluate(test).items()}
    greedy = run.bundle.metrics.test
    detail = {"low": greedy["cer"].low, "high": greedy["cer"].high, "seconds": seconds}
    return [
        Goal("character error rate, English prompts", greedy["cer"].value, 0.45, "", at_most=True, detail=detail),
        Goal("word error rate, beam kept to the training words", beam["wer"], greedy["wer"].value, "", at_most=True,
             detail={"greedy": greedy["wer"].value, "cer with the beam": beam["cer"]}),
    ]  # fmt: skip


def languages(data: Path | None) -> list[Goal]:
    """Character error rate of one model of five languages."""
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), "prompts", data, lambda row: row["text"])
        run, seconds = _timed(path, {**_SPEECH, "budget": "40m", "train": {"epochs": 110}})
        spoken = [row["language"] for row in _rows("prompts", data) if row["split"] == "test"]
    assert run.measured is not None, "the table has test rows"
    found = RowStatistics.of(run.bundle.task, run.measured.prediction, run.measured.target)
    kinds = sorted(set(spoken))
    weights = np.array([[float(one == kind) for one in spoken] for kind in kinds])
    rates = dict(zip(kinds, found.metrics(weights)["cer"].tolist(), strict=True))
    return [Goal("seconds of one model of five languages", seconds, 3600, "s", at_most=True, detail=rates)]


def drawings(data: Path | None) -> list[Goal]:
    """chrF of the names of emoji from their pictures: pretrained features, and the names of the nearest pictures."""
    task = {"name": "generate", "decoding": {"name": "mbr", "neighbours": 16}}
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), "emoji", data, lambda row: row["name"])
        settings = {**_TEXTS, "task": task, "preset": "pretrained", "train": {"epochs": 80, "ema": 0.99}}
        run, seconds = _timed(path, settings)
    exact = run.bundle.metrics.test["exact_match"].value
    return [_gain("names of drawings", _verdict(run), {"exact match": exact, "seconds": seconds})]


def clips(data: Path | None) -> list[Goal]:
    """chrF of a sentence about a clip, beside the commonest sentence: all that is known without the clip."""
    with tempfile.TemporaryDirectory() as folder:
        path = _written(Path(folder), "sprites", data, _sentence)
        run, seconds = _timed(path, _TEXTS)
    assert run.measured is not None, "the table has test rows"
    task, measured = run.bundle.task, run.measured
    number = len(measured.rows)
    blind = task.baselines({}, None, number)["commonest"]
    model, other = (RowStatistics.of(task, one, measured.target) for one in (measured.prediction, blind))
    verdict = judge(task, model, {"commonest": other}, np.arange(number), seed=0)
    return [_gain("sentences about clips", verdict, {"best baseline": _verdict(run).baseline, "seconds": seconds})]


TABLES: Mapping[str, Callable[[Path | None], list[Goal]]] = {
    "english": english,
    "languages": languages,
    "drawings": drawings,
    "clips": clips,
}


def _sentence(row: Mapping[str, str]) -> str:
    people = row["faction"].split("/")[0].replace("-", " ")
    return f"One of the {people} {ACTIONS[row['label']]}."


def _verdict(run: Run) -> RunVerdict:
    """The model beside the best of its baselines."""
    verdict = run.bundle.metrics.verdict
    assert verdict is not None, "there are test rows and baselines"
    return verdict


def _gain(name: str, verdict: RunVerdict | None, detail: dict[str, float]) -> Goal:
    """The lower end of the interval of the gain over a baseline; above 0 the model is better."""
    assert verdict is not None, "both have a chrF"
    detail = {"chrf": verdict.model, "baseline": verdict.baseline, "gain": verdict.gain.value, "p": verdict.p, **detail}
    return Goal(f"chrF gain, low end: {name}", verdict.gain.low, 0, "", at_most=False, detail=detail)


def _timed(path: Path, settings: Mapping[str, Any]) -> tuple[Run, float]:
    started = time.perf_counter()
    return train(path, make(dict(settings))), round(time.perf_counter() - started)


def _test_rows(path: Path) -> pm.Table:
    table = pm.read_table(path)
    return table.take(np.flatnonzero(np.array(table.values("split")) == "test"))


def _rows(name: str, data: Path | None) -> list[dict[str, str]]:
    with table_of(name, data).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _written(
    folder: Path,
    name: str,
    data: Path | None,
    text: Callable[[Mapping[str, str]], str],
    keep: Callable[[Mapping[str, str]], bool] = lambda _: True,
) -> Path:
    """A table of the media, the text and the split, of some rows."""
    media, root = MEDIA[name], table_of(name, data).parent.resolve()
    path = folder / "table.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([media, "text", "split"])
        writer.writerows([root / row[media], text(row), row["split"]] for row in _rows(name, data) if keep(row))
    return path


def _log() -> dict[str, Any]:
    return dict(json.loads(RESULTS.read_text(encoding="utf-8"))) if RESULTS.exists() else {}


if __name__ == "__main__":
    sys.exit(main())
