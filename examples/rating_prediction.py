"""Rating prediction: how many stars a person gives a film, from who they are and what the film is.

python examples/rating_prediction.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from _frame import options, print_figures, read, side
from matplotlib.figure import Figure

import polymodal as pm

PERSON = ["user_id", "age", "gender", "occupation"]
FILM = ["item_id", "movie_title", "release_year", "genres"]
COLUMNS = {
    # Ids look like numbers, but 255 is no more than 12: they are names. There are more films than the 1,000 names that
    # a category keeps by default.
    "user_id": {"modality": "category"},
    "item_id": {"modality": {"name": "category", "max_categories": 2_000}},
    # "Action Thriller" is recognised as one of 216 categories; as text, it has a word in common with "Action War".
    "genres": {"modality": "text"},
}


def main(words: Sequence[str] | None = None) -> None:
    given = options(__doc__, words, recipe="movies")

    # The table: one rating in every row, in order of time; the newest fifth is test. `timestamp` and `rank_from_last`
    # are about the rating itself, and unknown before it is given.
    table = read(given.table, given.rows)
    table = table.without([name for name in table.names if name not in (*PERSON, *FILM, "rating", "split")])
    train, test = side(table, "train"), side(table, "test")
    print(f"{train.num_rows} ratings to learn from; {test.num_rows} later ones to predict")

    # Train. Each of the 80,000 rows says little: larger batches, fewer epochs and a bag of words (instead of the
    # recurrent network that so many rows get by default) keep this short.
    settings = {
        "split": {"column": "split"},
        "encoders": {"text": "bag"},
        "train": {"batch_size": 256, "epochs": 4},
    }
    model = pm.Regressor(columns=COLUMNS, epochs=given.epochs, config=settings, verbose=True)
    model.fit(table, y="rating")

    # Evaluate. `mean` predicts the mean of the training rows for everything.
    print_figures(model, ["rmse", "mae", "r2"])

    # Look at mistakes: they are larger for what was seen seldom or never. Time is hard on a recommender: most test
    # ratings are by people who had not rated anything before.
    predicted, true = model.predict(test), np.array(test.values("rating"), dtype=float)
    errors = {}
    for name, what in (("user_id", "person"), ("item_id", "film")):
        seen = Counter(train.values(name))
        counts = np.array([seen[key] for key in test.values(name)])
        groups = {"no": counts == 0, "1 to 20": (counts > 0) & (counts <= 20), "more": counts > 20}
        for said, rows in groups.items():
            if rows.any():
                of = errors[f"{what}, {said}"] = float(np.sqrt(np.mean((predicted - true)[rows] ** 2)))
                print(f"{what} with {said} ratings before: rmse {of:.3f} over {rows.sum()} test rows")

    picture = given.output / "rating_prediction.svg"
    draw(picture, predicted, true, errors)

    # Save, and ask about ratings that are not in any table: a film for a new person, whose id is empty.
    size = model.save(given.output / "rating_prediction")
    asked = {name: [test.values(name)[0]] * 2 for name in (*PERSON, *FILM)} | {"age": [12, 70], "user_id": [None] * 2}
    stars = pm.load(given.output / "rating_prediction").predict(asked)
    print(f"\nSaved in {size / 1e6:.1f} MB; loaded again, it gives {asked['movie_title'][0]!r}")
    print(f"{stars[0]:.1f} stars by a new person of 12, and {stars[1]:.1f} by one of 70.")
    print(f"Picture: {picture}")


def draw(path: Path, predicted: np.ndarray, true: np.ndarray, errors: dict[str, float]) -> None:
    """What is predicted where so many stars were given; and for whom and what the errors are larger."""
    stars = np.unique(true)
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.boxplot([predicted[true == star] for star in stars], positions=stars, showfliers=False, widths=0.6)
    left.plot(stars, stars, color="grey", linestyle=":", label="perfect")
    left.set_xticks(stars, [f"{star:g}" for star in stars])
    left.set(xlabel="stars given", ylabel="stars predicted")
    left.legend(frameon=False)
    right.plot(list(errors.values()), list(errors), "o", color="steelblue")
    right.axvline(float(true.std()), color="grey", linestyle=":", label="always the mean of these")
    right.invert_yaxis()
    right.set(xlabel="root mean squared error, stars", title="by how many ratings were there before")
    right.legend(frameon=False)
    figure.savefig(path)


if __name__ == "__main__":
    main()
