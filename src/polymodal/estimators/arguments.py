"""What scikit-learn's methods are given beside X and y: classes and sample weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

import numpy as np
from jaxtyping import Bool, Float

from polymodal import registry
from polymodal.config.run_config import Part
from polymodal.data.target.class_names import name_of


def with_classes(task: Part, classes: Sequence[object]) -> Part:
    """The task with room for all of these classes.

    Raises:
        ValueError: it takes no classes.
    """
    known = {field.name for field in fields(registry.load("tasks", task.name or "").Config)}
    if "classes" not in known:
        raise ValueError(f"classes are for tasks that take them; {task.name!r} learns what there is from y.")
    return Part(name=task.name, **{**task.settings, "classes": [name_of(value) for value in classes]})


def weights_of(weight: object, rows: Bool[np.ndarray, " rows"]) -> Float[np.ndarray, " kept"] | None:
    """The sample weights of some rows.

    Raises:
        ValueError: not one number a row.
    """
    if weight is None:
        return None
    weights = np.asarray(weight, dtype=float)
    if weights.shape != rows.shape:
        raise ValueError(f"sample_weight has the shape {weights.shape}; give one number for each of {len(rows)} rows.")
    return np.asarray(weights[rows])
