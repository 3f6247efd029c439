"""A table on which it is known what helps."""

import numpy as np

ROWS = 96
TINY = {
    "encoders": {"table": {"name": "mlp", "width": 8}, "vector": {"name": "mlp", "width": 8}},
    "fusion": {"name": "concat", "width": 8},
    "train": {"epochs": 5, "batch_size": 16, "optimizer": {"lr": 0.05}},
}


def rows(count=ROWS):
    """`size` tells one of two bits of the label, `note` the other, `noise` nothing."""
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 2, count), rng.integers(0, 2, count)
    return {
        "size": np.where(rng.random(count) < 0.05, np.nan, first + rng.normal(0, 0.1, count)).tolist(),
        "note": (second[:, None] + rng.normal(0, 0.1, (count, 2))).tolist(),
        "noise": rng.normal(0, 1, (count, 2)).tolist(),
        "label": [f"{a}{b}" for a, b in zip(first, second, strict=True)],
    }
