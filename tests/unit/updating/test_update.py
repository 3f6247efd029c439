"""What an update learns, holds out, measures and leaves as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from polymodal.bundles import bundle as bundles
from polymodal.config.run_config import make
from polymodal.data.tables.table import read_table
from polymodal.errors import BundleError, ColumnError, DataError
from polymodal.inference.predictor import predict
from polymodal.metrics.results import BeforeAfter, UpdateRows
from polymodal.pipeline.run import train
from polymodal.updating.rows import Labelled
from polymodal.updating.update import learn_rows, update

COLOURS = ("red", "green", "blue")
CONFIG = {
    "target": "label",
    "columns": {"words": {"modality": "text"}, "size": {"modality": "number"}},
    "encoders": {"table": {"width": 8, "layers": 1}, "text": {"name": "bag", "width": 8}},
    "fusion": {"name": "concat", "width": 8},
    "train": {"epochs": 8, "final": "best", "optimizer": {"lr": 0.02}, "ensemble": []},  # all of it goes on learning
}


def cells(count=120, classes=(0, 1, 2), *, seed=0, shift=0.0):
    rng = np.random.default_rng(seed)
    label = rng.choice(classes, count)
    return {
        "words": [f"{COLOURS[k]} thing {rng.integers(9)}" if rng.random() < 0.6 else "thing" for k in label],
        "size": (label + shift + 0.4 * rng.normal(size=count)).tolist(),
        "label": [f"class {k}" for k in label],
    }


def old_cells():
    table = cells()
    table["label"][5] = table["label"][17] = None
    return table


def some(table, rows):
    return {name: [values[row] for row in rows] for name, values in table.items()}


@pytest.fixture(scope="module")
def run():
    return train(old_cells(), make(CONFIG))


@pytest.fixture(scope="module")
def bundle(run):
    return run.bundle


def told(bundle, **settings):
    config = bundle.config
    return replace(bundle, config=config.model_copy(update={"update": config.update.model_copy(update=settings)}))


def accuracy(bundle, table):
    predicted = predict(bundle, {name: values for name, values in table.items() if name != "label"})
    return accuracy_score(table["label"], predicted.columns["prediction"])


def state(bundle):
    return {name: value.clone() for name, value in bundle.model.state_dict().items()}


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_it_learns_what_is_new_and_shows_it(bundle):
    found = update(bundle, cells(150, seed=1, shift=-2.0), replay=cells())
    metric = {when: getattr(found.entry.new, when)["accuracy"].value for when in ("before", "after")}
    assert metric["after"] > metric["before"] + 0.1
    rest = cells(200, seed=9, shift=-2.0)
    assert accuracy(found.bundle, rest) > accuracy(bundle, rest) + 0.1
    assert [record.epoch for record in found.history.epochs] == list(range(1, bundle.config.update.epochs + 1))


def test_members_that_learn_no_more_stay_as_they_are():
    config = make({**CONFIG, "train": {**CONFIG["train"], "ensemble": ["unimodal", "linear"], "epochs": 1}})
    bundle = train(cells(60), config).bundle
    found = update(bundle, cells(60, seed=1), replay=cells(60)).bundle
    before, after = state(bundle), state(found)
    same_ones = {name for name in before if torch.equal(before[name], after[name])}
    assert {name for name in before if name.startswith("features.") or name == "weights"} <= same_ones
    assert any(name.startswith("heads.") for name in before.keys() - same_ones)


def test_old_rows_are_the_remedy_against_forgetting(bundle):
    new, old = cells(60, classes=(2,), seed=2), cells()
    keen = {"epochs": 12, "lr": 0.05, "anchor": 0.0}
    lost = update(told(bundle, replay=0, **keen), new, replay=old).entry.old
    kept = update(told(bundle, replay=2, **keen), new, replay=old).entry.old
    held = update(told(bundle, **{**keen, "replay": 0, "anchor": 0.5}), new, replay=old).entry.old
    before = lost.before["accuracy"].value
    assert kept.before == lost.before
    assert lost.after["accuracy"].value < before - 0.2
    assert kept.after["accuracy"].value > before - 0.1
    assert held.after["accuracy"].value > before - 0.1


def test_the_figures_are_those_of_the_rows_held_out(bundle):
    new = cells(60, seed=3, shift=-1.0) | {"side": ["test" if k % 3 == 0 else "train" for k in range(60)]}
    config = bundle.config.model_copy(update={"split": make({"split": {"column": "side"}}).split})
    found = update(replace(bundle, config=config), new)
    held = some(new, range(0, 60, 3))
    assert found.entry.rows == UpdateRows(learned=40, held_out=20)
    assert found.entry.new.before["accuracy"].value == pytest.approx(accuracy(bundle, held))
    assert found.entry.new.after["accuracy"].value == pytest.approx(accuracy(found.bundle, held))
    assert found.entry.old == BeforeAfter()


def test_the_test_rows_of_the_training_are_held_out_again(run, bundle, monkeypatch):
    from polymodal.updating.updater import Updater

    read, taken = Updater.read, []

    def watched(self, given, rows, *, cache):
        taken.append((given.table.source, rows.tolist()))
        return read(self, given, rows, cache=cache)

    monkeypatch.setattr(Updater, "read", watched)
    old = old_cells() | {"extra": ["old"] * 120}
    found = update(told(bundle, replay=100.0), cells(40, seed=4), replay=old)
    (_, again), (_, held) = taken[2:]
    assert held == run.split.test.tolist()
    assert found.entry.rows.replayed == len(again) and found.entry.rows.old_held_out == len(held)
    assert sorted(again + held) == [row for row in range(120) if row not in (5, 17)]


def test_rows_add_up(bundle):
    new = cells(50, seed=5)
    new["label"][3] = new["label"][4] = None
    found = update(bundle, new, replay=cells())
    rows = found.entry.rows
    assert rows.unlabelled == 2 and rows.dropped == 0
    assert rows.learned + rows.held_out == 48 and rows.held_out == round(0.2 * 48)
    assert rows.replayed == 2 * rows.learned  # as update.replay says


def test_everything_but_the_weights_stays_and_the_old_model_too(bundle, tmp_path):
    before, card, metrics = state(bundle), bundle.card, bundle.metrics.model_dump_json()
    new = cells(40, seed=6, shift=5.0)
    new["words"][0] = "a word that nobody knows"
    found = update(bundle, new, replay=cells())
    assert same(before, state(bundle)) and bundle.card == card and bundle.metrics.model_dump_json() == metrics
    assert not same(before, state(found.bundle))
    assert found.bundle.schema == bundle.schema and found.bundle.config == bundle.config
    bundles.save(found.bundle, tmp_path / "bundle")
    again = bundles.load(tmp_path / "bundle")
    assert same(state(again), state(found.bundle))
    assert again.metrics.updates == (found.entry,)
    assert again.metrics.test == bundle.metrics.test
    assert "32 new rows, 64 old ones again, 5 epochs" in again.card
    assert "Measured before the updates." in again.card and "Measured before" not in card


def test_an_update_repeats_and_the_next_one_draws_anew(bundle):
    new, old = cells(40, seed=7), cells()
    first, again = update(bundle, new, replay=old), update(bundle, new, replay=old)
    assert same(state(first.bundle), state(again.bundle))
    second = update(first.bundle, new, replay=old)
    assert [len(found.bundle.metrics.updates) for found in (first, second)] == [1, 2]
    assert second.entry.new.before != first.entry.new.after  # other rows are held out


def test_a_class_that_is_new_is_an_error_that_says_what_to_do(bundle):
    new = cells(20, seed=8)
    new["label"][13] = "class 9"
    with pytest.raises(
        DataError, match=r"row 13: 'class 9' .* 'label' .* knows class 0, class 1, class 2.*train again"
    ):
        update(bundle, new)


def test_rows_without_a_target_are_nothing_to_learn_from(bundle):
    with pytest.raises(DataError, match="no row has a target 'label'"):
        update(bundle, cells(5) | {"label": [None] * 5})
    with pytest.raises(ColumnError, match="'words'"):
        update(bundle, {name: values for name, values in cells(5).items() if name != "words"})
    config = bundle.config.model_copy(update={"split": make({"split": {"column": "side"}}).split})
    with pytest.raises(DataError, match="'train' in the split column"):
        update(replace(bundle, config=config), cells(12) | {"side": ["test"] * 12})


def test_what_is_not_held_out_is_said(bundle):
    few = update(bundle, cells(6, seed=1))
    assert few.entry.rows.learned == 6 and "Fewer than 10 new rows" in few.notes[0]
    assert few.entry.new.before["accuracy"] and few.entry.new.after == {}
    assert update(told(bundle, holdout=0.0), cells(30)).notes == ()
    config = bundle.config.model_copy(update={"split": make({"split": {"column": "side"}}).split})
    found = update(replace(bundle, config=config), cells(30, seed=2), replay=cells())
    assert "has no column 'side'" in found.notes[0] and "may have learned" in found.notes[0]
    assert found.entry.rows.old_held_out == 24


def test_groups_stay_together_where_the_training_kept_them_together(bundle):
    from polymodal.updating.rows import new_sides

    config = make({"split": {"method": "group", "by": "who"}})
    table = read_table({"who": [f"p{k // 5}" for k in range(50)], "label": ["a"] * 50})
    sides = new_sides(Labelled(table, ["a"] * 50), config, np.random.default_rng(0), [])
    assert len(sides.held) == 10 and {row // 5 for row in sides.held} & {row // 5 for row in sides.learned} == set()


def test_a_model_that_does_not_learn_as_a_whole_is_refused(bundle):
    config = bundle.config.model_copy(update={"stage": make({"stage": "late"}).stage})
    with pytest.raises(BundleError, match=r"'late'.*Train it again"):
        update(replace(bundle, config=config), cells(20))


def test_rows_of_no_weight_teach_nothing(bundle):
    new = cells(20, seed=3)
    table = read_table({name: values for name, values in new.items() if name != "label"})
    found = learn_rows(told(bundle, anchor=0.5), Labelled(table, new["label"], np.zeros(20)))
    assert same(state(bundle), state(found))
    taught = learn_rows(told(bundle, anchor=0.5), Labelled(table, new["label"], np.ones(20)))
    doubled = learn_rows(told(bundle, anchor=0.5), Labelled(table, new["label"], np.full(20, 2.0)))
    assert same(state(taught), state(doubled)) and not same(state(taught), state(bundle))


def test_cells_that_cannot_be_read_are_counted(bundle):
    new = cells(30, seed=4)
    new["size"] = [*map(str, new["size"][:29]), "many"]
    found = update(bundle, new)
    assert [(reject.row, reject.column) for reject in found.rejects] == [(29, "size")]  # of the table, not of its part
    assert found.rejects[0].reason == "not a number: 'many'"


class Member:
    """Something that was computed from the old model."""

    files = ("index/ids.json",)
    limit = 100

    @classmethod
    def read(cls, files):
        return cls()

    def write(self):
        return {"index/ids.json": b"[]"}


def test_members_that_fit_the_old_model_are_left_out(bundle):
    old = replace(bundle, members={"index": Member()})
    assert update(old, cells(30, seed=1)).bundle.members == {}
    assert list(old.members) == ["index"]
