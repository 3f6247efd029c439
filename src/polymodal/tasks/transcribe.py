"""Speech to text: the characters that are spoken, in order, by connectionist temporal classification (CTC)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field
from scipy.sparse import csr_matrix
from torch import Tensor, nn
from torch.export import register_dataclass
from torch.nn import functional as F

from polymodal.abilities import InputFeatures
from polymodal.config.node import settings
from polymodal.config.run_config import Part, part_settings, plain
from polymodal.ctc import ngrams
from polymodal.ctc.alignment import STAR
from polymodal.ctc.guides import WordGuide
from polymodal.ctc.search import BeamSearch
from polymodal.data.target.class_names import is_missing
from polymodal.errors import ConfigError, DataError, did_you_mean
from polymodal.layers.pooling import zero_masked
from polymodal.layers.texts import numbered
from polymodal.metrics.edits import ERROR_RATES, edit_statistics, error_rates, single_blanks
from polymodal.metrics.weighted import Values, Weights, mean
from polymodal.protocols import Advice, Needs, Task
from polymodal.tokenizers.text_features import text_features
from polymodal.types import Cells, Sequences, Texts, Tokens, full_precision

_BLANK, _UNKNOWN, _FIRST = 0, 1, 2  # ids: no character, one that the training rows lack, the first one
_SETTINGS = {  # of a search, and what the task calls them
    "name": "search",
    **{name: name for name in ("width", "n_best", "words", "ngrams", "ngram_weight", "word_bonus")},
}
_REPLACEMENT = "\ufffd"
_SILENT = frozenset('.,;:!?"()[]{}…“”„«»–—-')  # marks that nobody speaks


@settings
class TranscribeConfig:
    """Settings of speech to text.

    Attributes:
        lower: learn and predict lower case only.
        token_seconds: a step covers at most so many seconds of sound: there must be more steps than characters.
        min_count: characters that the training rows hold less often are not learned.
        dropout: probability, before the last layer.
        search: how a text is found: `greedy`, the best character of every step; `beam`, prefix beam search.
        width: beginnings that a beam follows.
        n_best: texts that a beam gives for each row; at most `width`.
        words: what a beam may write: `any` text; `training`: words of the training rows; else the path of a list of
            words, one a line, which is copied into the model.
        ngrams: path of an ARPA file of n-grams of words, which is copied into the model; null: none.
        ngram_weight: of the n-grams' log-probability beside that of the sound.
        word_bonus: added for each word, in nats: without one, n-grams prefer few long words.
    """

    lower: bool = True
    token_seconds: Annotated[float, Field(gt=0)] = 0.04
    min_count: Annotated[int, Field(ge=1)] = 2
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1
    search: Literal["greedy", "beam"] = "greedy"
    width: Annotated[int, Field(ge=1)] = 16
    n_best: Annotated[int, Field(ge=1)] = 1
    words: str = "any"
    ngrams: str | None = None
    ngram_weight: Annotated[float, Field(ge=0)] = 0.5
    word_bonus: float = 0.0


class Transcribe(Task):
    """One text a row, from fused tokens that lie along the time of a sound. Chosen only by name.

    Texts are compared in Unicode's composed form (NFC) with single blanks, and in lower case unless told otherwise. A
    row without sound gets the empty text.
    """

    Config: ClassVar[type] = TranscribeConfig
    kind: ClassVar[str] = "speech to text"
    metric: ClassVar[str] = "cer"
    monitor: ClassVar[str] = "cer"
    greater_is_better: ClassVar[Mapping[str, bool]] = {"cer": False, "wer": False, "exact_match": True}
    metric_words: ClassVar[Mapping[str, str]] = {
        **ERROR_RATES,
        "exact_match": "share of rows whose text is right as a whole",
    }
    advice: ClassVar[Advice] = Advice(epochs=2.0, lr=2.5)
    baseline_rows: ClassVar[int] = 20_000

    def __init__(self, config: TranscribeConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        if config.n_best > config.width:
            raise ConfigError(
                f"task.n_best = {config.n_best} is more than task.width = {config.width}; widen the beam."
            )
        if statistics is None:
            return
        self._statistics = statistics
        self.characters: list[str] = statistics["characters"]
        self.places = {character: place for place, character in enumerate(self.characters, start=_FIRST)}
        self.prior = _prior(statistics["counts"])
        self.commonest: str = statistics["commonest"]
        self.column: str = statistics["column"]

    @classmethod
    def examples(cls) -> list[object]:
        """Some targets."""
        return ["yes", "no", "a no", "say", "no", "yes", "on", "no", "yes", "as"]

    def needs(self) -> Needs:
        """Steps in time, no longer than a character is spoken."""
        return Needs(time=True, token_seconds=self.config.token_seconds)

    def fit(self, values: Sequence[object], *, column: str) -> dict[str, Any]:
        """The characters of the training rows' texts, and the commonest text; missing and empty ones do not count.

        Raises:
            DataError: a value that is no text, or no text at all.
        """
        texts = [text for value in values if not is_missing(value) and (text := self._text(value, column))]
        counts = Counter("".join(texts))
        characters = sorted(character for character, count in counts.items() if count >= self.config.min_count)
        if not characters:
            raise DataError(
                f"The target column {column!r} holds no text in the {len(values)} training rows; there is nothing to "
                "learn. Choose another target, or lower task.min_count."
            )
        rare = len(counts) - len(characters)
        words = f"{column}: {rare} of {len(counts)} characters occur less than {self.config.min_count} times, and are "
        return {
            "column": column,
            "characters": characters,
            "counts": [counts[character] for character in characters],
            "commonest": Counter(texts).most_common(1)[0][0],
            "words": self._words(texts),
            "ngrams": self._ngrams(),
            "notes": [f"{words}not learned"] if rare else [],
        }

    def encode(self, value: object) -> Int[np.ndarray, " L"] | None:
        """Ids of the text's characters; None where it is missing or empty.

        Raises:
            DataError: the value is no text.
        """
        text = "" if is_missing(value) else self._text(value, self.column)
        return np.array([self.places.get(character, _UNKNOWN) for character in text]) if text else None

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Int "B L", padded with zeros."""
        lengths = torch.tensor([0 if array is None else len(array) for array in arrays])
        values = np.zeros((len(arrays), max(1, int(lengths.max()))), dtype=np.int64)
        for row, array in enumerate(arrays):
            if array is not None:
                values[row, : len(array)] = array
        return Cells(torch.from_numpy(values), lengths)

    def head(self, widths: Mapping[str, int]) -> TranscribeHead:
        (width,) = widths.values()
        return TranscribeHead(
            width, self.prior, dropout=self.config.dropout, search=_search(self.config, self._statistics)
        )

    def search(self, head: Any, settings: Mapping[str, Any] | None) -> None:
        """Makes a head search otherwise: `name` is greedy or beam, the other settings are those of the task.

        Raises:
            ConfigError: an unknown setting, a wrong value, or a file that cannot be read.
        """
        config, statistics = self.config, self._statistics
        if settings is not None:
            given = {_SETTINGS.get(name, name): value for name, value in settings.items()}
            if unknown := set(given) - set(_SETTINGS.values()):
                name = min(unknown)
                known = ", ".join(_SETTINGS)
                raise ConfigError(f"decoding: unknown setting {name!r}.{did_you_mean(name, _SETTINGS)} Known: {known}.")
            if given.get("words") == "training" and config.words not in ("any", "training"):
                raise ConfigError(
                    f"decoding: the model keeps the words of {config.words}, not those of its training rows. "
                    "Give the path of a list of words, or train with task.words=training."
                )
            config = part_settings("tasks", Part(name="transcribe", **{**plain(config), **given}))
            other = type(self)(config)
            if config.words not in ("any", "training", self.config.words):
                statistics = {**statistics, "words": other._words([])}
            if config.ngrams != self.config.ngrams:
                statistics = {**statistics, "ngrams": other._ngrams()}
        head.search = _search(config, statistics)

    def rows(self, prediction: Sequences, target: Cells | None) -> dict[str, np.ndarray]:
        """Of each row the edits [N] from predicted to true characters, and how many true ones; the same of words."""
        assert target is not None, "a transcript is a target"
        predicted = self._texts(prediction.ids[:, 0], prediction.lengths[:, 0])
        true = self._texts(target.values, target.lengths, unknown=_REPLACEMENT)  # not learned: never predicted
        exact = np.array([one == other for one, other in zip(predicted, true, strict=True)])
        return {**edit_statistics(predicted, true), "exact": exact}

    def metrics(self, rows: Mapping[str, np.ndarray], weights: Weights) -> dict[str, Values]:
        """Character and word error rate: edits of all rows / true characters (words) of all rows; exact match."""
        return {
            **error_rates(rows, weights),
            "exact_match": mean(rows["exact"].astype(float), weights),
        }

    def decode(self, prediction: Sequences) -> dict[str, np.ndarray]:
        """`prediction`: the text; `log_probability` of its path or, by a beam, of all its paths that were followed, in
        nats; `prediction_2`, ... where more texts were asked for.
        """
        return numbered(prediction, self._texts)

    def outcomes(self, prediction: Sequences, target: Cells, rows: np.ndarray, *, name: str) -> list[Texts]:
        """Each text beside the true one, with its own error rate."""
        predicted = self._texts(prediction.ids[:, 0], prediction.lengths[:, 0])
        true = self._texts(target.values, target.lengths, unknown=_REPLACEMENT)
        found = self.rows(prediction, target)
        rates = found["edits"] / np.maximum(found["characters"], 1)
        return [Texts(predicted, true, -rates, [f"CER {rate:.2f}" for rate in rates], rows)]

    def baselines(
        self, features: Mapping[str, InputFeatures], target: Cells | None, num_rows: int
    ) -> dict[str, Sequences]:
        """`commonest`: the commonest text of the training rows, for every row."""
        ids = torch.from_numpy(self.encode(self.commonest)).expand(num_rows, 1, -1)
        every = torch.ones(num_rows, 1)
        return {"commonest": Sequences(ids, ids.shape[2] * every.long(), 0 * every, every[:, 0] > 0)}

    def target_features(self, target: Cells) -> csr_matrix:
        """The words of each text, and their groups of letters."""
        return text_features(self._texts(target.values, target.lengths))

    @property
    def between(self) -> int | None:
        """The blank between two words, where the training texts hold one."""
        return self.places.get(" ")

    def spoken(self, text: object) -> list[tuple[str, list[int]]]:
        """The words of a text, and the ids of their characters; of one with characters that were not learned, such as
        a number, a star: anything that is spoken.
        """
        words = [] if is_missing(text) or not isinstance(text, str) else text.split()
        return [(word, self._heard(word)) for word in words]

    def written(self, character: int) -> str:
        return self.characters[character - _FIRST]

    def frames(self, head: Any, tokens: Mapping[str, Tokens]) -> tuple[Float[Tensor, "B T V"], Int[Tensor, " B"]]:
        frames: FrameLogits = head(tokens)
        return frames.log_probabilities, frames.lengths

    def _heard(self, word: str) -> list[int]:
        text = "".join(sign for sign in self._text(word, self.column) if sign not in _SILENT or sign in self.places)
        ids = [self.places.get(character, STAR) for character in text]
        return [STAR] if STAR in ids or not ids else ids

    def _text(self, value: object, column: str) -> str:
        if not isinstance(value, str):
            raise DataError(
                f"The target column {column!r} holds {value!r}, which is no text. Empty the cell (its row is then left "
                "out), or choose another task."
            )
        text = single_blanks(value)
        return text.lower() if self.config.lower else text

    def _words(self, texts: Sequence[str]) -> list[str]:
        """Those that a beam may write: of the training rows, or of a file."""
        if self.config.words in ("any", "training"):
            return sorted({word for text in texts for word in text.split()})
        try:
            lines = Path(self.config.words).read_text(encoding="utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"task.words: cannot read the list of words {self.config.words}: {error}.") from error
        return sorted({self._text(line, "words") for line in lines})

    def _ngrams(self) -> str | None:
        return None if self.config.ngrams is None else ngrams.read_text(Path(self.config.ngrams))

    def _texts(self, ids: Int[Tensor, "B L"], lengths: Int[Tensor, " B"], *, unknown: str = "") -> list[str]:
        """The text of each row."""
        signs = [unknown] * _FIRST + self.characters
        rows = zip(ids.tolist(), lengths.tolist(), strict=True)
        return ["".join(signs[place] for place in row[:length]) for row, length in rows]


@dataclass(frozen=True)
class FrameLogits:
    """What is said of each step.

    Attributes:
        log_probabilities: "B T V", of the characters; the first is the blank.
        lengths: "B", steps that are real.
    """

    log_probabilities: Float[Tensor, "B T V"]
    lengths: Int[Tensor, " B"]


register_dataclass(FrameLogits)


class TranscribeHead(nn.Module):
    """Every token -> log-probabilities of the characters and of the blank.

    The loss is that of connectionist temporal classification (Graves et al. 2006, equation 8): minus the log of the sum
    over all paths of steps that give the text once repeats and then blanks are taken out, by character. The prior is
    the logarithm of how frequent each id is.
    """

    in_batch = False

    def __init__(
        self, width: int, prior: Float[Tensor, " V"], *, dropout: float, search: BeamSearch | None = None
    ) -> None:
        super().__init__()
        self.search = search
        self.norm = nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(width, len(prior))
        self.linear.bias.data.copy_(prior)  # from zero, training first unlearns all but the blank, for some epochs

    def forward(self, tokens: Mapping[str, Tokens], target: Cells | None = None, progress: float = 1.0) -> FrameLogits:
        (only,) = tokens.values()
        logits = full_precision(self.linear(self.dropout(self.norm(zero_masked(only.values, only.mask)))))
        return FrameLogits(logits.log_softmax(dim=2), only.mask.sum(dim=1))

    def loss(self, output: FrameLogits, target: Cells | None) -> Float[Tensor, " B"]:
        """Loss by character of each row; 0 where the text is unknown, or longer than there are steps."""
        assert target is not None, "a transcript is a target"
        losses = F.ctc_loss(
            output.log_probabilities.transpose(0, 1),
            target.values,
            output.lengths,
            target.lengths,
            blank=_BLANK,
            reduction="none",
            zero_infinity=True,
        )
        heard = target.present & (output.lengths > 0)
        return torch.where(heard, losses / target.lengths.clamp_min(1), 0)

    def predict(self, tokens: Mapping[str, Tokens]) -> Sequences:
        """By the beam; else the best character of every step, without repeats, blanks and unknown ones."""
        frames = self(tokens)
        if self.search is not None:
            return self.search(frames.log_probabilities, frames.lengths, frames.lengths > 0)
        best = frames.log_probabilities.max(dim=2)
        real = torch.arange(best.indices.shape[1], device=best.indices.device) < frames.lengths.unsqueeze(1)
        before = F.pad(best.indices[:, :-1], (1, 0), value=_BLANK)
        kept = real & (best.indices != before) & (best.indices >= _FIRST)
        order = (~kept).long().argsort(dim=1, stable=True)  # what is kept, in its order, to the left
        lengths = kept.sum(dim=1)
        longest = max(1, int(lengths.max()))
        return Sequences(
            ids=best.indices.gather(1, order)[:, None, :longest],
            lengths=lengths.unsqueeze(1),
            log_probability=(best.values * real).sum(dim=1, keepdim=True),
            present=frames.lengths > 0,
        )


def _search(config: TranscribeConfig, statistics: Mapping[str, Any]) -> BeamSearch | None:
    """The beam that the settings ask for; None: greedy search."""
    if config.search == "greedy":
        return None
    found = statistics.get("ngrams")
    guide = None
    if config.words != "any" or found is not None:
        guide = WordGuide(
            dict(enumerate(statistics["characters"], start=_FIRST)),
            words=None if config.words == "any" else statistics["words"],
            ngrams=None if found is None else ngrams.read(found.splitlines(), source="the n-grams of the model"),
            weight=config.ngram_weight,
            bonus=config.word_bonus,
        )
    return BeamSearch(config.width, config.n_best, never=(_UNKNOWN,), guide=guide)


def _prior(counts: Sequence[int]) -> Float[Tensor, " V"]:
    """Log frequencies of the ids among steps, of which half are taken for blank ones."""
    shares = torch.tensor(counts, dtype=torch.float64)
    blank, unknown = torch.tensor([0.5]), torch.tensor([0.5 / (int(shares.sum()) + 1)])
    return torch.cat([blank, unknown, (0.5 - unknown) * shares / shares.sum()]).log().float()
