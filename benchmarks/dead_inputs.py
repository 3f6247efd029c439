"""How often inputs that say nothing are left out, and useful ones by mistake, over 200 small synthetic tables.

    python benchmarks/dead_inputs.py [--tables 200] [--texts 40]

A table has 80 to 600 rows, 3 to 10 inputs (texts of four words, and vectors of numbers), and a class or a number to
predict. Half of the inputs are drawn at random. A useful text has in 30 to 90 % of its rows one word that goes with the
target, a useful vector a coordinate that is the target and 0.5 to 2 times as much noise; in one table of ten two
inputs tell only together. Then as many tables as `--texts` says, whose target is a text of two to six words, one of
which goes with the useful inputs. Goals, of both: at least 90 % of the dead inputs left out, at most 5 % of the useful
ones.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from goal import Goal

from polymodal.config.run_config import make
from polymodal.pipeline.problem import resolve

RESULTS = Path(__file__).parent / "dead_inputs.json"
WORDS = [
    f"{first}{last}" for first in ("ba", "co", "du", "fi", "ga", "lo", "mu", "re") for last in ("den", "lor", "mi")
]
NOUNS = ["tower", "garden", "harbour", "valley", "bridge"]


def main() -> int:
    """The exit code: 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tables", type=int, default=200)
    parser.add_argument("--texts", type=int, default=40)
    given = parser.parse_args()
    goals = [
        *measured("", given.tables, as_text=False),
        *measured(" where the target is a text", given.texts, as_text=True),
    ]
    for goal in goals:
        print(goal)
    RESULTS.write_text(json.dumps([goal.record() for goal in goals], indent=2) + "\n", encoding="utf-8")
    return int(not all(goal.passed for goal in goals))


def measured(of: str, num_tables: int, *, as_text: bool) -> list[Goal]:
    """The shares of dead and of useful inputs that are left out of so many tables."""
    counts = Counter[str]()
    for seed in range(num_tables):
        table, dead = table_of(np.random.default_rng(seed), as_text=as_text)
        settings = {"target": "target", "seed": seed, **({"task": "generate"} if as_text else {})}
        with tempfile.TemporaryDirectory() as folder:
            problem = resolve(table, make(settings), folder=Path(folder))
        kept = {one.name for one in problem.schema.inputs}
        for name in table:
            if name != "target":
                counts[f"{'dead' if name in dead else 'useful'} {'kept' if name in kept else 'left out'}"] += 1
    num_dead, num_useful = (counts[f"{kind} kept"] + counts[f"{kind} left out"] for kind in ("dead", "useful"))
    detail = {name: float(count) for name, count in sorted(counts.items())}
    gone, lost = counts["dead left out"] / num_dead, counts["useful left out"] / num_useful
    return [
        Goal(f"dead inputs left out{of}", gone, 0.9, "", at_most=False, detail=detail),
        Goal(f"useful inputs left out{of}", lost, 0.05, "", at_most=True, detail=detail),
    ]


def table_of(rng: np.random.Generator, *, as_text: bool = False) -> tuple[dict[str, list[Any]], set[str]]:
    """Columns, and the names of those that say nothing."""
    num_rows, num_inputs = int(rng.integers(80, 601)), int(rng.integers(3, 11))
    together = rng.random() < 0.1
    classes = int(rng.integers(2, 6))
    hidden = rng.integers(0, 2 if together else classes, num_rows)
    numbers = hidden + rng.normal(scale=0.3, size=num_rows)
    as_number = not together and rng.random() < 0.3
    columns: dict[str, list[Any]] = {}
    dead: set[str] = set()
    for number in range(num_inputs):
        alive = number == 0 or rng.random() < 0.5
        name = f"input_{number}"
        dead |= set() if alive else {name}
        columns[name] = _input(rng, hidden if alive else rng.permutation(hidden), alive=alive)
    if together:
        first = rng.integers(0, 2, num_rows)
        for name, values in (("pair_0", first), ("pair_1", first ^ hidden)):
            columns[name] = _text(rng, values, share=1.0)
    if as_text:
        target = [_sentence(rng, NOUNS[value]) for value in hidden]
    else:
        target = numbers.round(4).tolist() if as_number else [f"class {value}" for value in hidden]
    return {**columns, "target": target}, dead


def _input(rng: np.random.Generator, hidden: np.ndarray, *, alive: bool) -> list[Any]:
    if rng.random() < 0.5:
        return _text(rng, hidden, share=float(rng.uniform(0.3, 0.9)) if alive else 0.0)
    vectors = rng.normal(size=(len(hidden), int(rng.integers(2, 9))))
    if alive:
        vectors[:, 0] = hidden + rng.uniform(0.5, 2.0) * hidden.std() * vectors[:, 0]
    return [row.astype(np.float32) for row in vectors]


def _sentence(rng: np.random.Generator, word: str) -> str:
    """The word among one to five others."""
    words = [word, *rng.choice(WORDS, size=int(rng.integers(1, 6)))]
    return " ".join(rng.permutation(words))


def _text(rng: np.random.Generator, values: np.ndarray, *, share: float) -> list[str]:
    drawn = rng.choice(WORDS[6:], size=(len(values), 4)).astype(object)
    telling = rng.random(len(values)) < share
    drawn[telling, 0] = np.array(WORDS[:6], dtype=object)[values[telling]]
    return [" ".join(words) for words in drawn]


if __name__ == "__main__":
    sys.exit(main())
