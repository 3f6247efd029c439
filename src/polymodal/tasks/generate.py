"""A text a row: a caption, an answer, a translation, written one piece after the other."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Int
from pydantic import AfterValidator, Field
from scipy.sparse import csr_matrix
from torch import Tensor

from polymodal import registry
from polymodal.abilities import InputFeatures, WithTokenizer
from polymodal.baselines.nearest import nearest_rows
from polymodal.codecs.notation import numerals_of
from polymodal.config.node import settings
from polymodal.config.run_config import Part, PartField, part_settings
from polymodal.data.target.class_names import is_missing
from polymodal.errors import ConfigError, DataError
from polymodal.layers.datastore import Datastore
from polymodal.layers.search import Bounds
from polymodal.layers.sequence_head import SequenceHead, Teaching
from polymodal.layers.texts import numbered
from polymodal.metrics import generation
from polymodal.metrics.edits import ERROR_RATES, edit_statistics, error_rates, single_blanks
from polymodal.metrics.weighted import Values, Weights, mean
from polymodal.protocols import Advice, Needs, Recognition, Task
from polymodal.tokenizers import reversible
from polymodal.tokenizers.text_features import text_features
from polymodal.types import Cells, Sequences, Texts, Tokens

_REPLACEMENT = "\ufffd"
_LONGER = 1.5  # than the longest training text: what is written at most
_SHOWN = 40  # letters of a text in a message
_WORDS = 1.5  # a free text has more words than that on average
_WORD = re.compile(r"[^\W\d_]{2,}")  # two letters or more: no units of numbers


def _or_default(name: str) -> AfterValidator:
    """A part without a name has this one."""
    return AfterValidator(lambda part: part if part.name is not None else part.model_copy(update={"name": name}))


@settings
class GenerateConfig:
    """Settings of generation.

    Attributes:
        decoder: the network that writes, with its settings: `transformer` or `lstm`; `hf`, a pretrained language model.
        decoding: the search for a text, with its settings: `beam`, `greedy`, `sampling` or `mbr`.
        tokenizer: what a text is written in: `words` and marks; `bpe`, groups of bytes that are frequent in the
            training texts; `characters`. What was not learned is written byte by byte. null: that of the decoder's
            checkpoint, or, where it has none, `words`.
        vocabulary_size: most pieces that are learned; the 256 bytes are always among them.
        max_length: pieces of a training text that are learned; what is behind them is cut, and counted.
        lower: learn and write lower case only.
        label_smoothing: share of the target's probability that is spread over all pieces.
        scheduled_sampling: probability, at the end of training, that the decoder reads a piece of its own in place of
            the true one (Bengio et al. 2015); it rises from 0 in proportion to what is done.
    """

    decoder: Annotated[PartField, _or_default("transformer")] = Part(name="transformer")
    decoding: Annotated[PartField, _or_default("beam")] = Part(name="beam")
    tokenizer: reversible.Kind | None = None
    vocabulary_size: Annotated[int, Field(ge=300)] = 4_000
    max_length: Annotated[int, Field(ge=1)] = 256
    lower: bool = False
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.1
    scheduled_sampling: Annotated[float, Field(ge=0, le=1)] = 0.0


class Generate(Task):
    """One text a row, written by a decoder that attends to the tokens of all inputs.

    Texts are in Unicode's composed form (NFC), without blanks around them. A row without any input gets the empty text.
    """

    Config: ClassVar[type] = GenerateConfig
    submodules: ClassVar[Mapping[str, str]] = {"decoder": "decoders", "decoding": "decoding"}
    kind: ClassVar[str] = "text generation"
    metric: ClassVar[str] = "chrf"
    monitor: ClassVar[str] = "chrf"
    greater_is_better: ClassVar[Mapping[str, bool]] = {
        "chrf": True,
        "bleu": True,
        "rouge_l": True,
        "cider": True,
        "cer": False,
        "wer": False,
        "exact_match": True,
    }
    metric_words: ClassVar[Mapping[str, str]] = {
        "chrf": "chrF2: shared groups of 1 to 6 characters, 0 to 100",
        "bleu": "BLEU: shared groups of 1 to 4 words, 0 to 100",
        "rouge_l": "ROUGE-L: longest common run of words, gaps allowed, 0 to 1",
        "cider": "CIDEr-D: shared groups of words, rare ones count more, 0 to 10",
        **ERROR_RATES,
        "exact_match": "share of rows whose text is right as a whole",
    }
    advice: ClassVar[Advice] = Advice(epochs=1.5, lr=0.5, auxiliary_loss=0.0)
    baseline_rows: ClassVar[int] = 20_000

    def __init__(self, config: GenerateConfig, statistics: Mapping[str, Any] | None = None) -> None:
        self.config = config
        if statistics is None:
            return
        self.tokenizer = reversible.load(statistics["tokenizer"])
        self.longest: int = statistics["longest"]
        self.commonest: str = statistics["commonest"]
        self.column: str = statistics["column"]
        self.counts = torch.tensor(statistics["counts"], dtype=torch.float64)

    @classmethod
    def examples(cls) -> list[object]:
        """Some targets."""
        return ["a cat", "a dog", "the small cat", "no", "a cat", "the dog", "small dogs", "a dog", "cats", "no cat"]

    @classmethod
    def recognise(cls, values: Sequence[object]) -> Recognition | None:
        """Texts of several words that hardly repeat."""
        present = [value for value in values if not is_missing(value)]
        if len(present) < 2 or not all(isinstance(value, str) for value in present):
            return None
        texts = [str(value) for value in present]
        distinct, words = len(set(texts)), sum(len(_WORD.findall(text)) for text in texts) / len(texts)
        if 2 * distinct <= len(texts) or words < _WORDS or numerals_of(present).mostly:
            return None
        found = f"{distinct} different texts of {words:.1f} words on average in {len(texts)} rows"
        return Recognition(0.6, found)

    def needs(self) -> Needs:
        """All tokens of all inputs."""
        return Needs(tokens=True)

    def fit(self, values: Sequence[object], *, column: str) -> dict[str, Any]:
        """The tokenizer of the training rows' texts, how often each piece occurs, the longest and the commonest text.

        Missing and empty texts do not count.

        Raises:
            DataError: a value that is no text, or no text at all.
            ConfigError: a decoder whose checkpoint has no tokenizer that fits, or another one asked for.
        """
        config = self.config
        texts = [text for value in values if not is_missing(value) and (text := self._text(value, column))]
        if not texts:
            raise DataError(
                f"The target column {column!r} holds no text in the {len(values)} training rows; there is nothing to "
                "learn. Choose another target."
            )
        learned = self._learned(texts)
        tokenizer = reversible.load(learned)
        lines = [tokenizer.encode(text) for text in texts]
        counts = Counter(place for line in lines for place in line[: config.max_length])
        counts[tokenizer.end] = len(lines)
        cut = sum(len(line) > config.max_length for line in lines)
        notes = [
            f"{column}: {cut} of {len(lines)} training texts are longer than task.max_length = {config.max_length} "
            "pieces; what is behind them is not learned"
        ] if cut else []  # fmt: skip
        written = [tokenizer.decode(line) for line in lines] if learned["kind"] == reversible.CHECKPOINT else texts
        changed = [(text, other) for text, other in zip(texts, written, strict=True) if text != other]
        if changed:
            notes.append(
                f"{column}: the checkpoint's tokenizer cannot write {len(changed)} of {len(lines)} training texts as "
                f"they are: {changed[0][0][:_SHOWN]!r} becomes {changed[0][1][:_SHOWN]!r}; metrics compare with that"
            )
        if _neighbours(config.decoding):
            notes.append(f"{column}: the model, and its bundle, hold all training texts, for task.decoding.neighbours")
        return {
            "column": column,
            "tokenizer": learned,
            "counts": [counts[place] for place in range(tokenizer.size)],
            "longest": min(max(map(len, lines)), config.max_length),
            "commonest": Counter(texts).most_common(1)[0][0],
            "notes": notes,
        }

    def encode(self, value: object) -> Int[np.ndarray, " L"] | None:
        """Ids of the whole text's pieces; None where it is missing or empty.

        Raises:
            DataError: the value is no text.
        """
        text = "" if is_missing(value) else self._text(value, self.column)
        return np.array(self.tokenizer.encode(text), dtype=np.int64) if text else None

    def collate(self, arrays: Sequence[np.ndarray | None]) -> Cells:
        """Int "B L", padded."""
        lengths = torch.tensor([0 if array is None else len(array) for array in arrays])
        values = np.full((len(arrays), max(1, int(lengths.max()))), self.tokenizer.padding, dtype=np.int64)
        for row, array in enumerate(arrays):
            if array is not None:
                values[row, : len(array)] = array
        return Cells(torch.from_numpy(values), lengths)

    def head(self, widths: Mapping[str, int]) -> SequenceHead:
        (width,) = widths.values()
        config = self.config
        decoder = registry.load("decoders", config.decoder.name or "")(
            part_settings("decoders", config.decoder), memory_width=width, vocabulary_size=self.tokenizer.size
        )
        return SequenceHead(
            decoder,
            search=self._search(config.decoding),
            bounds=self._bounds(config.decoding),
            begin=self.tokenizer.begin,
            prior=self._prior(),
            teaching=Teaching(config.max_length, config.label_smoothing, config.scheduled_sampling),
            datastore=Datastore(self.tokenizer.size) if _neighbours(config.decoding) else None,
        )

    def search(self, head: Any, settings: Mapping[str, Any] | None) -> None:
        """Makes a head search with other settings; those that are not given are the model's, if it has that search."""
        usual = self.config.decoding
        if settings is None:
            part = usual
        else:
            name = settings.get("name") or usual.name
            known = usual.settings if name == usual.name else {}
            part = Part(name=name, **{**known, **{key: value for key, value in settings.items() if key != "name"}})
        if _neighbours(part) and head.datastore is None:
            raise ConfigError(
                "decoding: neighbours are asked for, and this model holds no training texts. Set neighbours to 0, or "
                "train with task.decoding.name=mbr and task.decoding.neighbours=16."
            )
        head.search, head.bounds = self._search(part), self._bounds(part)

    def stream(self, head: Any, tokens: Mapping[str, Tokens]) -> Iterator[list[str]]:
        """The next piece of each row's text. A character of several bytes comes when it is whole."""
        if not hasattr(head.search, "stream"):
            raise ConfigError(
                f"The search {type(head.search).__name__.lower()!r} finds whole texts and cannot go piece by piece. "
                "Choose greedy or sampling."
            )
        (only,) = tokens.values()
        said: list[list[int]] = [[] for _ in range(len(only.mask))]
        written = [""] * len(said)
        ended = (~only.present).tolist()
        for ids in head.stream(only):
            pieces = []
            for row, place in enumerate(ids.tolist()):
                ended[row] = ended[row] or place == self.tokenizer.end
                if not ended[row]:
                    said[row].append(place)
                text = self.tokenizer.decode(said[row])
                whole = text if ended[row] else text.rstrip(_REPLACEMENT)
                pieces.append(whole[len(written[row]) :])
                written[row] = whole
            yield pieces
            if all(ended):
                return

    def attention(self, head: Any, tokens: Mapping[str, Tokens]) -> list[tuple[list[str], np.ndarray]] | None:
        """The words of each row's best text, which stand between blanks, and what each attended to."""
        (only,) = tokens.values()
        prediction = head.predict(tokens)
        weights = head.attention(only, prediction)
        if weights is None:
            return None
        found = []
        for ids, length, row in zip(
            prediction.ids[:, 0].tolist(), prediction.lengths[:, 0].tolist(), weights, strict=True
        ):
            words = self._words(ids[:length])
            means = [row[places].mean(dim=0).double().cpu().numpy() for _, places in words]
            found.append(([word for word, _ in words], np.array(means).reshape(len(words), row.shape[1])))
        return found

    def rows(self, prediction: Sequences, target: Cells | None) -> dict[str, np.ndarray]:
        """Of each row, what the metrics are made of: counts of shared groups of words and characters, and scores."""
        assert target is not None, "a text is a target"
        predicted = self._texts(prediction.ids[:, 0], prediction.lengths[:, 0])
        true = self._texts(target.values, target.lengths)
        spaced = [[single_blanks(text) for text in texts] for texts in (predicted, true)]
        return {
            "chrf": generation.chrf_statistics(predicted, true),
            "bleu": generation.bleu_statistics(predicted, true),
            "rouge_l": generation.rouge_l(predicted, true),
            "cider": generation.cider(predicted, true),
            **edit_statistics(*spaced),
            "exact": np.array([one == other for one, other in zip(predicted, true, strict=True)]),
        }

    def metrics(self, rows: Mapping[str, np.ndarray], weights: Weights) -> dict[str, Values]:
        """Those of all rows together: chrF, BLEU and error rates of the corpus, means of the others."""
        return {
            "chrf": generation.chrf(weights @ rows["chrf"]),
            "bleu": generation.bleu(weights @ rows["bleu"]),
            "rouge_l": mean(rows["rouge_l"], weights),
            "cider": mean(rows["cider"], weights),
            **error_rates(rows, weights),
            "exact_match": mean(rows["exact"].astype(float), weights),
        }

    def decode(self, prediction: Sequences) -> dict[str, np.ndarray]:
        """`prediction`: the best text, and its `log_probability` in nats; `prediction_2`, ... where more were found."""
        return numbered(prediction, self._texts)

    def outcomes(self, prediction: Sequences, target: Cells, rows: np.ndarray, *, name: str) -> list[Texts]:
        """Each text beside the true one, with its own chrF."""
        predicted = self._texts(prediction.ids[:, 0], prediction.lengths[:, 0])
        true = self._texts(target.values, target.lengths)
        scores = generation.chrf(generation.chrf_statistics(predicted, true))
        return [Texts(predicted, true, scores, [f"chrF {score:.0f}" for score in scores], rows)]

    def baselines(
        self, features: Mapping[str, InputFeatures], target: Cells | None, num_rows: int
    ) -> dict[str, Sequences]:
        """`commonest`: the commonest training text; `nearest`: the text of the training row with the likest inputs."""
        every = torch.zeros(num_rows, dtype=torch.long)
        common = self.collate([self.encode(self.commonest)])
        found = {"commonest": _said(common.rows(every))}
        if features and target is not None:
            found["nearest"] = _said(target.rows(torch.from_numpy(nearest_rows(features, num_rows))))
        return found

    def target_features(self, target: Cells) -> csr_matrix:
        """The words of each text, and their groups of letters."""
        return text_features(self._texts(target.values, target.lengths))

    def _learned(self, texts: Sequence[str]) -> dict[str, Any]:
        """What the tokenizer is made of: the decoder's own, or one that is learned from these texts."""
        config, part = self.config, self.config.decoder
        cls = registry.load("decoders", part.name or "")
        if not isinstance(cls, WithTokenizer):
            kind = config.tokenizer or "words"
            return reversible.learn(texts, kind=kind, vocabulary_size=config.vocabulary_size)
        if config.tokenizer is not None:
            raise ConfigError(
                f"Decoder {part.name!r} writes the pieces of its checkpoint's tokenizer, and task.tokenizer asks for "
                f"{config.tokenizer!r}. Leave task.tokenizer out, or choose another decoder."
            )
        return dict(cls.tokenizer(part_settings("decoders", part)))

    def _text(self, value: object, column: str) -> str:
        if not isinstance(value, str):
            raise DataError(
                f"The target column {column!r} holds {value!r}, which is no text. Empty the cell (its row is then left "
                "out), or choose another task."
            )
        text = unicodedata.normalize("NFC", value.strip())
        return text.lower() if self.config.lower else text

    def _texts(self, ids: Int[Tensor, "B L"], lengths: Int[Tensor, " B"]) -> list[str]:
        """The text of each row."""
        rows = zip(ids.tolist(), lengths.tolist(), strict=True)
        return [self.tokenizer.decode(row[:length]) for row, length in rows]

    def _words(self, ids: Sequence[int]) -> list[tuple[str, list[int]]]:
        """The words of the text that some ids write, and the places of the ids that write each."""
        ends = [len(self.tokenizer.decode(ids[: place + 1])) for place in range(len(ids))]
        found = []
        for word in re.finditer(r"\S+", self.tokenizer.decode(ids)):
            places = [place for place, end in enumerate(ends) if word.start() < end <= word.end()]
            if places:  # else a piece that goes beyond this word wrote it
                found.append((word.group(), places))
        return found

    def _search(self, part: Part) -> Any:
        return registry.load("decoding", part.name or "")(part_settings("decoding", part))

    def _bounds(self, part: Part) -> Bounds:
        """What texts must keep, in ids."""
        chosen = part_settings("decoding", part)
        longest = math.ceil(_LONGER * self.longest) + 1
        return Bounds(
            end=self.tokenizer.end,
            never=self.tokenizer.never,
            max_length=chosen.max_length or longest,
            min_length=min(chosen.min_length, (chosen.max_length or longest) - 1),
            no_repeat_ngram=chosen.no_repeat_ngram,
            prefix=tuple(self.tokenizer.encode(self._text(chosen.prefix, self.column))),
            text=self.tokenizer.decode,
        )

    def _prior(self) -> Tensor:
        """Log frequencies of the pieces; of those that training lacks, as if they came half a time."""
        shares = self.counts.clamp_min(0.5)
        return (shares / shares.sum()).log().float()


def _neighbours(part: Part) -> int:
    """Training rows that a search looks at for each row."""
    return int(getattr(part_settings("decoding", part), "neighbours", 0))


def _said(cells: Cells) -> Sequences:
    """These texts, as a prediction that is sure."""
    every = torch.ones(len(cells.lengths), 1)
    return Sequences(cells.values.unsqueeze(1), cells.lengths.unsqueeze(1), 0 * every, every[:, 0] > 0)
