"""`polymodal demo`: two senses alone and together, on data that are built on the spot."""

from __future__ import annotations

import shlex
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from polymodal.cli.arguments import SetOption
from polymodal.cli.datasets import FolderOption, obtain
from polymodal.cli.terminal import make_callbacks, print_metrics, say, tabulate

if TYPE_CHECKING:
    from polymodal.config.run_config import RunConfig
    from polymodal.pipeline.run import Run

_MODELS = {  # name -> columns to learn without
    "image only": ("audio", "hint"),
    "speech only": ("image", "hint"),
    "fused": (),
}
_SHOWN_ROWS = 5


def demo(folder: FolderOption = None, assignments: SetOption = None) -> None:
    """Build the data set avdigits, train on pictures, on speech and on both, and compare."""
    start = time.monotonic()
    from polymodal.config import run_config as configuration

    config = configuration.make({"target": "label", "split": {"column": "split"}}, source="demo")
    config = configuration.override(config, assignments or [])  # a typo is told before the table is built
    path = obtain("avdigits", folder)
    say(
        "Which digit is it? Noisy handwriting, the digit spoken in noise (voices of test unseen in train), a weak hint."
    )
    say(f"The table, part synthetic: {path}")
    say()
    runs = _train(path, config)
    fused = runs["fused"].bundle
    baselines = fused.metrics.baselines.reports
    measured = {name: run.bundle.metrics.test for name, run in runs.items()}
    print_metrics({**measured, **{name: baselines[name] for name in ("linear", "majority")}})
    say()
    say(_verdict(path, runs))
    say()
    _print_rows(path, runs["fused"])
    say()
    say(f"All of it took {time.monotonic() - start:.0f} seconds. The same from your own table:")
    say(f"  polymodal train {shlex.quote(str(path))} --target label --split split -o digits")


def _train(path: Path, config: RunConfig) -> dict[str, Run]:
    from polymodal.pipeline.run import train

    runs = {}
    with tempfile.TemporaryDirectory(prefix="polymodal-") as cache:  # media are decoded once for all three
        for name, dropped in _MODELS.items():
            started = time.monotonic()
            runs[name] = train(
                path,
                config.model_copy(update={"drop": (*config.drop, *dropped)}),
                make_callbacks=make_callbacks,
                cache=Path(cache),
            )
            say(f"{name}: trained in {time.monotonic() - started:.0f} seconds")
    say()
    return runs


def _verdict(path: Path, runs: Mapping[str, Run]) -> str:
    """Whether fusing pays, by the paired bootstrap on the test rows."""
    import numpy as np

    from polymodal.data.tables.table import read_table
    from polymodal.evaluation.evaluate import truth_of
    from polymodal.evaluation.verdict import judge
    from polymodal.inference.predictor import predict
    from polymodal.metrics.rows import RowStatistics

    fused = runs["fused"].bundle
    target = fused.schema.target
    assert target is not None, "the digits have labels"
    table = read_table(path).take(runs["fused"].split.test)
    found = {}
    for name, run in runs.items():
        truth = truth_of(run.bundle.task, target, table, table.values(target.name))
        found[name] = RowStatistics.of(run.bundle.task, predict(run.bundle, table).prediction, truth.target)
    rivals = {name: one for name, one in found.items() if name != "fused"}
    verdict = judge(fused.task, found["fused"], rivals, np.arange(table.num_rows), seed=fused.config.seed)
    assert verdict is not None, "every row has a label"
    return verdict.sentence("The fused model", "model of one input")


def _print_rows(path: Path, run: Run) -> None:
    """A few test rows, evenly spread, with what is predicted and what is true."""
    import numpy as np

    from polymodal.data.tables.table import read_table
    from polymodal.inference.predictor import predict

    rows = run.split.test[np.linspace(0, len(run.split.test) - 1, _SHOWN_ROWS, dtype=int)]
    table = read_table(path).take(rows)
    found = predict(run.bundle, table)
    probability = np.max([found.columns[name] for name in found.columns if name.startswith("p_")], axis=0)
    cells = zip(table.values("image"), table.values("hint"), found.columns["prediction"], probability,
                table.values("label"), strict=True)  # fmt: skip
    tabulate(
        ("image", "hint", "predicted", "probability", "true"),
        [(str(image), str(hint), str(digit), f"{share:.3f}", str(true)) for image, hint, digit, share, true in cells],
    )
