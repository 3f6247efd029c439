"""Old rows that are kept are a fair sample, and those that are drawn hold their share of every class."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from polymodal.data.tables.table import read_table
from polymodal.updating.rows import Labelled, Reservoir, sample


def seen(first, last, *, folder=None, weight=None):
    numbers = list(range(first, last))
    table = read_table({"number": numbers, "word": [f"w{k}" for k in numbers]}, folder=folder)
    return Labelled(table, [f"t{k}" for k in numbers], weight)


def kept(reservoir):
    return [number for part in reservoir.rows() for number in part.table.values("number")]


def test_every_row_stays_with_the_same_probability_whenever_it_comes():
    counts: Counter[object] = Counter()
    for seed in range(500):
        reservoir = Reservoir(4, seed=seed)
        for first, last in ((0, 1), (1, 6), (6, 7), (7, 20)):
            reservoir.add(seen(first, last))
        assert len(reservoir) == 4
        counts.update(kept(reservoir))
    found = np.array([counts[number] for number in range(20)]) / 500
    np.testing.assert_allclose(found, 4 / 20, atol=4 * np.sqrt(0.2 * 0.8 / 500))


def test_rows_keep_their_cells_target_and_weight():
    reservoir = Reservoir(100, seed=0)
    reservoir.add(seen(0, 5, weight=np.arange(5.0)))
    reservoir.add(seen(5, 8))
    (part,) = reservoir.rows()
    numbers = part.table.values("number")
    assert sorted(numbers) == list(range(8))
    assert part.table.values("word") == [f"w{k}" for k in numbers]
    assert part.target == [f"t{k}" for k in numbers]
    assert part.weight.tolist() == [k if k < 5 else 1 for k in numbers]


def test_rows_without_a_target_are_not_kept():
    part = seen(0, 3)
    reservoir = Reservoir(100, seed=0)
    reservoir.add(Labelled(part.table, ["a", None, "b"]))
    assert sorted(kept(reservoir)) == [0, 2]


def test_media_stay_in_their_folder(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    reservoir = Reservoir(10, seed=0)
    reservoir.add(seen(0, 2, folder=tmp_path / "one"))
    reservoir.add(seen(2, 4, folder=tmp_path / "two"))
    found = {part.table.folder.name: sorted(part.table.values("number")) for part in reservoir.rows()}
    assert found == {"one": [0, 1], "two": [2, 3]}


def test_no_room_is_no_rows():
    reservoir = Reservoir(0, seed=0)
    reservoir.add(seen(0, 5))
    assert (len(reservoir), reservoir.rows()) == (0, [])


@pytest.mark.parametrize("count", [3, 10, 25, 50])
def test_every_class_gets_its_share(count):
    target = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    rows = sample(target, count, stratify=True, rng=np.random.default_rng(count))
    assert len(set(rows.tolist())) == count and (np.diff(rows) > 0).all()
    found = Counter(target[row] for row in rows)
    for name, share in (("a", 0.6), ("b", 0.3), ("c", 0.1)):
        assert abs(found[name] - share * count) <= 1


def test_any_row_may_be_drawn_and_all_are_if_there_are_few():
    for stratify in (True, False):
        drawn = {
            row for seed in range(40) for row in sample("aabbbb", 2, stratify=stratify, rng=np.random.default_rng(seed))
        }
        assert drawn == set(range(6))
        assert sample("aabbbb", 9, stratify=stratify, rng=np.random.default_rng(0)).tolist() == list(range(6))
    assert sample([], 3, stratify=True, rng=np.random.default_rng(0)).tolist() == []
