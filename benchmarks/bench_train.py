"""How much of raw PyTorch's training speed the loop keeps: rows a second, as a ratio taken in one run.

A table of pictures, texts and numbers is generated (its contents are random: this measures speed only) and prepared.
Then epochs of two kinds alternate, on models with the same weights:

- loop: `training.loop.fit`, with everything a user gets by default - cells collated and augmented for every batch,
  checks for finite losses and gradients, clipping, the schedule, the training metric;
- raw: forward, backward and AdamW step over the same batches, made ready as tensors beforehand.

Both compute with one thread: with more, threads that wait for one another on a busy machine change either figure
tenfold, and the ratio says nothing. The loop may use a second core to make the next batch. The ratio of an adjacent
pair cancels most of what else the machine does; the median over the pairs is the figure.

The goal is a first one: the loop takes at most twice the time of the bare steps.
"""

from __future__ import annotations

import statistics
import time

import numpy as np
import torch

from polymodal.bundles.bundle import Bundle
from polymodal.config.run_config import make
from polymodal.data.cells.dataset import Dataset, Loader
from polymodal.data.cells.prepare import modality_of, prepare
from polymodal.data.tables.table import Table, read_table
from polymodal.data.target.cells import target_cells
from polymodal.models.build import build
from polymodal.pipeline.problem import encode_targets
from polymodal.pipeline.run import train
from polymodal.pipeline.trainer import make_objective
from polymodal.training.loop import fit
from polymodal.training.objective import Objective
from polymodal.training.optim import make_optimizer
from polymodal.training.plan import Plan
from polymodal.types import Batch

from goal import Goal  # isort: skip

ROWS, SIDE, PAIRS = 512, 48, 7
BOUND = 0.5
CPU = torch.device("cpu")


def measure() -> list[Goal]:
    """The median ratio of rows a second, loop to raw."""
    torch.set_num_threads(1)
    table = read_table(_table())
    bundle = train(table, make({"target": "label", "train": {"epochs": 1}, "device": "cpu"})).bundle
    loader = _loader(table, bundle)
    ready = list(_loader(table, bundle, augment=False).epoch(1))
    _loop(bundle, loader), _raw(bundle, ready)  # warms caches and the allocator
    pairs = [(_loop(bundle, loader), _raw(bundle, ready)) for _ in range(PAIRS)]
    ratio = statistics.median(raw / loop for loop, raw in pairs)
    loop, raw = (ROWS / statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    detail = {"loop rows/s": loop, "raw rows/s": raw, "threads": torch.get_num_threads()}
    return [Goal("training loop", ratio, BOUND, "of raw PyTorch's rows/s", at_most=False, detail=detail)]


def _table() -> dict[str, object]:
    rng = np.random.default_rng(0)
    words = np.array([f"word{number}" for number in range(500)])
    return {
        "photo": list(rng.integers(0, 256, (ROWS, SIDE, SIDE, 3), dtype=np.uint8)),
        "review": [" ".join(rng.choice(words, rng.integers(5, 30))) for _ in range(ROWS)],
        **{name: rng.normal(size=ROWS) for name in ("width", "height", "weight", "price")},
        "label": rng.choice(["a", "b", "c"], ROWS),
    }


def _loader(table: Table, bundle: Bundle, *, augment: bool = True) -> Loader:
    columns = bundle.schema.features()
    target = bundle.schema.target
    assert target is not None
    dataset = Dataset(
        prepare(table, columns, limits=bundle.config.limits, bad_cells="error"),
        {column.name: modality_of(column) for column in columns},
        bundle.task,
        encode_targets(bundle.task, target_cells(table, target.column)),
    )
    return dataset.loader(batch_size=bundle.config.train.batch_size or 32, shuffle=True, augment=augment)


def _objective(bundle: Bundle) -> Objective:
    """What both kinds of epochs make smaller: with the losses of single inputs and modality dropout, as by default."""
    torch.manual_seed(0)
    return make_objective(build(bundle.schema, bundle.config), bundle.config.train, joint=True)


def _loop(bundle: Bundle, loader: Loader) -> float:
    """Seconds of one epoch."""
    objective, settings = _objective(bundle), bundle.config.train
    plan = Plan(
        task=bundle.task,
        train=settings,
        metric=settings.early_stopping.metric or "",
        greater_is_better=False,
        device=CPU,
        precision="float32",
        seed=0,
        epochs=1,
    )
    start = time.perf_counter()
    fit(objective, loader, None, plan=plan)
    return time.perf_counter() - start


def _raw(bundle: Bundle, batches: list[Batch]) -> float:
    """Seconds of one epoch."""
    objective = _objective(bundle).train()
    optimizer = make_optimizer(objective, bundle.config.train.optimizer)
    start = time.perf_counter()
    for batch in batches:
        losses = objective(batch).values
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    return time.perf_counter() - start


if __name__ == "__main__":
    for goal in measure():
        print(goal)
