"""When the words of a text are spoken in a recording, and whether they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float

from polymodal.abilities import Timed
from polymodal.bundles.bundle import Bundle
from polymodal.ctc.alignment import Alignment, align
from polymodal.data.tables.table import Table, read_table
from polymodal.errors import DataError, UsageError
from polymodal.inference.forward import loader_for
from polymodal.inference.predictor import Predictor
from polymodal.models.model import Model
from polymodal.types import Tokens

LARGEST_LOSS = 1.5
"""Nats for each character: a text whose path is so much less probable than the best of any text is not what is said."""

_PEAK_AFTER = 0.04
"""Seconds from where a word begins to the peak of its first character; at most half of the pause before it is taken.

CTC does not learn where in a character its short peak lies (Zeyer et al. 2021, arXiv 2105.14849); this is the median
over training sentences of `examples/word_times.py`."""


@dataclass(frozen=True)
class TimedWord:
    """A word as it is written, and when it is spoken.

    Attributes:
        text: as written.
        start: in seconds.
        end: in seconds.
        confidence: mean probability of its characters, 0 to 1; NaN where none of them can be heard.
        characters: each character that can be heard, with its start, end and confidence.
    """

    text: str
    start: float
    end: float
    confidence: float
    characters: tuple[tuple[str, float, float, float], ...] = ()


@dataclass(frozen=True)
class TimedText:
    """The words of one row.

    Attributes:
        words: in order; none where there is a `refusal`.
        loss: by how much the text is less probable than the best one, in nats for each character; NaN if unknown.
        refusal: why there are no times; None where there are.
    """

    words: tuple[TimedWord, ...]
    loss: float = math.nan
    refusal: str | None = None


class Timing:
    """Aligns texts with recordings by a trained model of speech to text.

    Args:
        bundle: the trained model.
        device: `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        largest_loss: texts that fit worse are refused, in nats for each character.

    Attributes:
        anchor: the input that lies along the time.

    Raises:
        UsageError: the model knows no time: it is not one of speech to text.
    """

    def __init__(self, bundle: Bundle, device: str = "auto", *, largest_loss: float = LARGEST_LOSS) -> None:
        if not isinstance(bundle.task, Timed) or not isinstance(bundle.model, Model):
            raise UsageError(
                f"This model predicts {bundle.config.target!r} by the task {bundle.config.task.name!r}, which knows no "
                "time. Train one with --set task=transcribe."
            )
        self._predictor, self._task, self._network = Predictor(bundle, device), bundle.task, bundle.model
        self._largest_loss = largest_loss
        fusion = next(iter(bundle.model.towers.values())).fusion
        self.anchor: str = getattr(fusion, "anchor", None) or next(iter(bundle.model.encoders))
        self._span = bundle.model.encoders[self.anchor].token_span or math.nan

    def __call__(self, source: object, *, text: str) -> list[TimedText]:
        """The times of a column's texts, one result a row.

        Args:
            source: whatever `read_table` takes.
            text: the column of texts.

        Raises:
            ColumnError: a column is absent.
        """
        table = read_table(source, text=self._predictor.bundle.config.table)
        table.require(text, role="text")
        texts = list(table.cells(text))
        return [self._timed(texts[row], scores) for row, scores in self._scored(table)]

    def transcribed(self, source: object) -> list[tuple[str, TimedText]]:
        """What is said in each row, and when."""
        table = read_table(source, text=self._predictor.bundle.config.table)
        predicted = [str(one) for one in self._predictor(table).columns["prediction"].tolist()]
        scored = self._scored(table)
        return [(predicted[row], self._timed(predicted[row], scores, any_loss=True)) for row, scores in scored]

    def sounds(self, source: object) -> list[Float[np.ndarray, " S"]]:
        """The samples of each row's recording in [-1, 1], as the model receives them; none where it is missing."""
        table = read_table(source, text=self._predictor.bundle.config.table)
        (column,), found = self._network.columns[self.anchor], []
        for _, dataset in self._predictor.in_chunks(table):
            for batch in loader_for(self._network, dataset, batch_size=1).epoch(0):
                cells = batch.cells[column]
                found.append(cells.values[0, : int(cells.lengths)].numpy())
        return found

    def _scored(self, table: Table) -> Iterator[tuple[int, np.ndarray]]:
        """The log-probabilities "T V" of every row's steps."""
        device = self._predictor.device
        for start, dataset in self._predictor.in_chunks(table):
            place = start
            for batch in loader_for(self._network, dataset, batch_size=16).epoch(0):
                with torch.inference_mode():
                    tokens: Mapping[str, Tokens] = self._network.fuse(self._network.encode(batch.to(device)))
                    frames = self._task.frames(self._network.head, tokens)
                for scores, length in zip(*frames, strict=True):
                    yield place, scores[:length].double().cpu().numpy()
                    place += 1

    def _timed(self, text: object, scores: np.ndarray, *, any_loss: bool = False) -> TimedText:
        words = self._task.spoken(text)
        if not words:
            return TimedText((), refusal="there is no text")
        if len(scores) == 0:
            return TimedText((), refusal="there is no sound")
        between = self._task.between
        ids: list[int] = []
        places = []
        for number, (_, letters) in enumerate(words):
            ids += [between] if number and between is not None else []
            places.append(slice(len(ids), len(ids) + len(letters)))
            ids += letters
        try:
            found = align(scores, ids)
        except DataError as error:
            return TimedText((), refusal=str(error))
        if found.loss > self._largest_loss and not any_loss:
            return TimedText(
                (),
                found.loss,
                f"the text does not fit the sound: it is less probable than the best one by {found.loss:.2f} nats for "
                f"each character, and {self._largest_loss:g} are allowed",
            )
        timed: list[TimedWord] = []
        for (word, _), place in zip(words, places, strict=True):
            one = self._word(word, ids[place], found, place)
            pause = one.start - (timed[-1].end if timed else 0.0)
            timed.append(replace(one, start=one.start - min(_PEAK_AFTER, pause / 2)))
        return TimedText(tuple(timed), found.loss)

    def _word(self, text: str, ids: Sequence[int], found: Alignment, place: slice) -> TimedWord:
        starts, ends = found.starts[place] * self._span, found.ends[place] * self._span
        confidence = found.confidence[place]
        heard = [at for at, one in enumerate(ids) if one >= 0]
        characters = tuple(
            (self._task.written(ids[at]), float(starts[at]), float(ends[at]), float(confidence[at])) for at in heard
        )
        sure = float(confidence[heard].mean()) if heard else math.nan
        return TimedWord(text, float(starts[0]), float(ends[-1]), sure, characters)
