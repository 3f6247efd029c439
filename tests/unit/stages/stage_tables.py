"""A small table of two inputs, numbers and texts, with gaps in both."""

from __future__ import annotations

from typing import Any

import numpy as np

from polymodal.config.run_config import make
from polymodal.pipeline.run import Run, train

ROWS = 48
_rng = np.random.default_rng(0)
_size, _other = _rng.normal(size=ROWS), _rng.normal(size=ROWS)
_label = np.where(_size + 0.5 * _other > 0, "a", "b").tolist()

TABLE: dict[str, list[Any]] = {
    "size": [None if row % 7 == 0 else float(value) for row, value in enumerate(_size)],
    "other": [None if row % 7 == 0 else float(value) for row, value in enumerate(_other)],
    "words": [
        None if row % 5 == 0 else f"red round {row % 3}" if label == "a" else f"blue flat {row % 3}"
        for row, label in enumerate(_label)
    ],
    "side": (["train"] * 4 + ["validation"] + ["test"]) * (ROWS // 6),
    "label": _label,
    "amount": (_size * 2 + _other).tolist(),
    "grade": np.clip(np.round(_size + 2), 1, 3).astype(int).tolist(),
    "tags": [["x", "y"] if a > 0 else ["y"] if b > 0 else [] for a, b in zip(_size, _other, strict=True)],
}
EMPTY: dict[str, list[Any]] = {"size": [None], "other": [None], "words": [None]}
TARGETS = {
    "classify": {"target": "label"},
    "one against the rest": {"target": "label", "task": {"name": "classify", "loss": "bce"}},
    "regress": {"target": "amount"},
    "regress several": {"target": ["amount", "grade"], "task": "regress"},
    "tag": {"target": "tags", "task": {"name": "tag", "min_count": 2}},
    "ordinal": {"target": "grade", "task": "ordinal"},
}


def settings(task: str = "classify", **config: Any) -> dict[str, Any]:
    """A configuration for the table, with small encoders and two epochs."""
    targets = np.ravel(np.array(TARGETS[task]["target"])).tolist()
    drop = [name for name in ("label", "amount", "grade", "tags") if name not in targets]
    small = {"text": {"width": 8}, "table": {"width": 8}}
    base = {
        "drop": drop,
        "split": {"column": "side"},
        "columns": {"words": {"modality": "text"}},
        "encoders": small,
        "train": {"epochs": 2, "final": "best"},
        **TARGETS[task],
    }
    stage = config.get("stage")
    named = stage if isinstance(stage, dict) else {"name": stage}
    if named["name"] == "fuse_then_train" or "branches" in named:  # handcrafted features have no width to set
        base["encoders"] = {}
    return base | config


def run(task: str = "classify", *, estimators: dict[str, Any] | None = None, **config: Any) -> Run:
    """Trains on the table."""
    return train(TABLE, make(settings(task, **config)), baselines=False, estimators=estimators)
