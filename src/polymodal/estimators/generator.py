"""The estimator that writes a text a row: captions, answers, translations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, overload

import numpy as np

from polymodal.estimators.table_estimator import TableEstimator


class Generator(TableEstimator):
    """Learns to write a text a row from a table of text, images, audio, numbers and categories.

    Captions, answers to a column of questions, translations, summaries: whatever the target column holds. It has the
    parameters and attributes of `Classifier`, except `classes_`. `score` is chrF, 0 to 100.

    >>> table = {"colour": ["red", "blue"] * 10, "said": ["it is red", "it is blue"] * 10}
    >>> Generator(epochs=1).fit(table, y="said").predict({"colour": ["red"]}).shape
    (1,)
    """

    _tasks = ("generate",)

    @overload
    def predict(
        self,
        X: object,
        *,
        return_status: Literal[False] = False,
        n_best: int = 1,
        decoding: Mapping[str, Any] | None = None,
    ) -> np.ndarray: ...

    @overload
    def predict(
        self, X: object, *, return_status: Literal[True], n_best: int = 1, decoding: Mapping[str, Any] | None = None
    ) -> tuple[np.ndarray, np.ndarray]: ...

    def predict(
        self, X: object, *, return_status: bool = False, n_best: int = 1, decoding: Mapping[str, Any] | None = None
    ) -> np.ndarray | tuple[np.ndarray, np.ndarray]:
        """The text of each row of X, which needs no target; of a row without any input the empty text.

        Args:
            X: as for `fit`.
            return_status: also give the status of each row; see `Classifier.predict`.
            n_best: texts a row: [rows, n_best], the best first; of the search `beam` or `sampling`.
            decoding: another search than in training, or other settings of it: `{"name": "sampling", "top_p": 0.9}`.

        Raises:
            ConfigError: an unknown search or setting, or one that gives no `n_best` texts.
        """
        from polymodal.inference.generation import searching

        asked = None if n_best == 1 and decoding is None else {**(decoding or {})}
        if asked is not None and n_best > 1:
            asked["n_best"] = n_best
        with searching(self._fitted, asked):
            predictions = self._predict(X)
        names = [name for name in predictions.columns if name.startswith("prediction")]
        texts = np.stack([predictions.columns[name] for name in names], axis=1)
        predicted = texts if n_best > 1 else texts[:, 0]
        return (predicted, np.array(predictions.status, dtype=object)) if return_status else predicted

    def generate(
        self, X: object, *, stream: bool = False, decoding: Mapping[str, Any] | None = None
    ) -> np.ndarray | Iterator[tuple[int, str]]:
        """The text of each row; with `stream` an iterator of row number and next piece, as they are written.

        Args:
            X: as for `fit`.
            stream: give pieces; those of a row follow one another, and joined are its text.
            decoding: the search; for a stream `greedy` unless said otherwise, or `sampling`.

        Raises:
            ConfigError: an unknown search or setting, or one that cannot go piece by piece.
        """
        if not stream:
            return self.predict(X, decoding=decoding)
        from polymodal.inference.generation import stream as pieces

        return pieces(self._predictor(), self._table(X), decoding)
