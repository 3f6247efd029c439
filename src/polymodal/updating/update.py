"""Online learning: a trained model learns from new rows, and shows what it gained and what it forgot."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polymodal.bundles.bundle import Bundle
from polymodal.data.cells.prepare import Reject
from polymodal.metrics.history import History
from polymodal.metrics.results import BeforeAfter, UpdateResults, UpdateRows
from polymodal.updating.rows import Labelled, new_sides, sides_of_training
from polymodal.updating.updater import CallbackFactory, ReadRows, Updater

_NAMED = 5  # rows that a note names


@dataclass(frozen=True)
class Update:
    """What an update leaves.

    Attributes:
        bundle: the new model; the one that was updated is as before.
        entry: what `metrics.json` says of it, under `updates`: the number of `rows`, the `settings`, and of the `new`
            and the `old` rows that were held out the metrics `before` and `after`.
        history: of the learning.
        rejects: cells that could not be read, of the new rows and of the old ones.
        notes: on how the rows were divided.
    """

    bundle: Bundle
    entry: UpdateResults
    history: History
    rejects: tuple[Reject, ...]
    notes: tuple[str, ...]


def update(
    bundle: Bundle, source: object, *, replay: object = None, make_callbacks: CallbackFactory | None = None
) -> Update:
    """Lets a trained model learn from the new rows of a table.

    What it knows of its columns and its target stays: vocabularies, means, classes. Some rows of both tables are held
    out and measured before and after. Of the old table these are the test rows of the training, where that is the same
    table. New rows that are not held out were still new to the model before the update.

    Args:
        bundle: the trained model; its `config.update` says how to learn.
        source: the new rows; whatever `read_table` takes, with the columns and the target of the training.
        replay: a table of old rows, of which some are learned from again.
        make_callbacks: makes the callbacks of the learning.

    Raises:
        BundleError: a model that cannot go on learning.
        ColumnError: a table lacks a column of the training.
        DataError: a class that is new to the model, or rows that cannot be learned from.
        NonFiniteLossError: the learning diverged.
    """
    updater, notes = Updater(bundle), list[str]()
    new = updater.given(source)
    old = None if replay is None else updater.given(replay)
    sides = new_sides(new, bundle.config, updater.rng, notes)
    with tempfile.TemporaryDirectory(prefix="polymodal-") as temporary:
        cache = Path(temporary)
        training_rows = updater.training_rows(new, sides.learned, cache=cache)
        held = updater.read(new, sides.held, cache=cache)
        known = _known(updater, new, {"learned": (training_rows, sides.learned), "held": (held, sides.held)}, notes)
        again = kept = None
        if old is not None:
            old_sides = sides_of_training(old, bundle.config, stratify=updater.task.stratified, notes=notes)
            chosen = updater.sample([old.target[row] for row in old_sides.learned.tolist()], training_rows)
            again = updater.read(old, old_sides.learned[chosen], cache=cache)
            kept = updater.read(old, old_sides.held, cache=cache)
        model = deepcopy(updater.model)
        before = updater.measure(model, held or training_rows), updater.measure(model, kept)
        history = updater.learn(model, training_rows, [again] if again else [], make_callbacks=make_callbacks)
        after = updater.measure(model, held), updater.measure(model, kept)
    learned, held_out = _count(training_rows), _count(held)
    rows = UpdateRows(
        learned=learned,
        held_out=held_out,
        replayed=_count(again),
        old_held_out=_count(kept),
        unlabelled=new.table.num_rows - len(new.rows),
        dropped=len(new.rows) - learned - held_out,
        seen=known,
    )
    entry = UpdateResults(
        metric=updater.task.metric,
        rows=rows,
        new=BeforeAfter(before=before[0], after=after[0]),
        old=BeforeAfter(before=before[1], after=after[1]),
        settings=updater.said,
    )
    return Update(updater.updated(model, entry), entry, history, tuple(updater.rejects), tuple(notes))


def learn_rows(
    bundle: Bundle,
    new: Labelled,
    old: Sequence[Labelled] = (),
    *,
    make_callbacks: CallbackFactory | None = None,
    on_rejects: Callable[[Sequence[Reject]], None] | None = None,
) -> Bundle:
    """The model after it learned from all of the new rows, and again from some old ones. Nothing is measured.

    `on_rejects` is called with the cells of the new rows that could not be read. Of the old tables, whose rows have a
    target, so many rows are learned from again as `update.replay` says.

    Raises:
        BundleError, DataError, NonFiniteLossError: as `update`.
    """
    updater = Updater(bundle)
    new, old = updater.read_target(new), [updater.read_target(part) for part in old]
    updater.check(new)
    model, start, reviewed = deepcopy(updater.model), 0, list[ReadRows]()
    with tempfile.TemporaryDirectory(prefix="polymodal-") as temporary:
        training_rows = updater.training_rows(new, new.rows, cache=Path(temporary))
        if on_rejects is not None:
            on_rejects(tuple(updater.rejects))
        chosen = updater.sample([value for part in old for value in part.target], training_rows)
        for given in old:
            here = chosen[(chosen >= start) & (chosen < start + len(given.target))] - start
            start += len(given.target)
            part = updater.read(given, here, cache=Path(temporary))
            reviewed += [part] if part else []
        updater.learn(model, training_rows, reviewed, make_callbacks=make_callbacks)
    rows = UpdateRows(learned=len(training_rows.rows), replayed=len(chosen))
    return updater.updated(model, UpdateResults(metric=updater.task.metric, rows=rows, times=1, settings=updater.said))


def _known(
    updater: Updater, new: Labelled, parts: Mapping[str, tuple[ReadRows | None, np.ndarray]], notes: list[str]
) -> int:
    """How many of the new rows the model learned from before; `notes` gets a sentence that names the first."""
    found = {side: rows[part.rows[updater.seen(part)]] for side, (part, rows) in parts.items() if part is not None}
    known = np.sort(np.concatenate(list(found.values())))
    if len(known):
        named = ", ".join(map(str, known[:_NAMED])) + (", ..." if len(known) > _NAMED else "")
        held = len(found.get("held", ()))
        measured = f" {held} of them are held out and measured: on them the model looks too good." if held else ""
        notes.append(
            f"The model learned before from {len(known)} of the {len(new.rows)} new rows (rows {named}).{measured} "
            "Leave them out."
        )
    return len(known)


def _count(part: ReadRows | None) -> int:
    return 0 if part is None else len(part.rows)
