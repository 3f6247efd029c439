"""Language models of n-grams of words, read from an ARPA file."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from polymodal.errors import ConfigError

_BEGIN, _END, _UNKNOWN = "<s>", "</s>", "<unk>"
_LN10 = math.log(10)
_HEADER = re.compile(r"ngram\s+(\d+)\s*=\s*(\d+)")


class Ngrams:
    """p(word | the words before), with back-off (Katz 1987).

    Args:
        probabilities: log-probability of each group of words, and its back-off weight, in nats.
        order: words of the longest group.
    """

    def __init__(self, probabilities: dict[tuple[str, ...], tuple[float, float]], order: int) -> None:
        self._probabilities, self.order = probabilities, order

    def log_probability(self, word: str, before: Sequence[str]) -> float:
        """Of a word behind others, in nats; a word that the model lacks counts as its `<unk>`, or is impossible."""
        if (word,) not in self._probabilities:
            word = _UNKNOWN
        context = tuple(word if (word,) in self._probabilities else _UNKNOWN for word in before)
        context = context[max(0, len(context) - self.order + 1) :]
        total = 0.0
        while True:
            found = self._probabilities.get((*context, word))
            if found is not None:
                return total + found[0]
            if not context:
                return -math.inf
            total += self._probabilities.get(context, (0.0, 0.0))[1]
            context = context[1:]

    def sentence(self, words: Sequence[str]) -> float:
        """Log-probability of a whole sentence, its end included, in nats."""
        said = [_BEGIN, *words, _END]
        return sum(self.log_probability(word, said[:place]) for place, word in enumerate(said) if place)


def read_text(path: Path) -> str:
    """What stands in an ARPA file, once it was read without an error.

    Raises:
        ConfigError: the file cannot be read, or is none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"Cannot read the n-grams {path}: {error}.") from error
    read(text.splitlines(), source=str(path))
    return text


def read(lines: Iterable[str], *, source: str) -> Ngrams:
    """The model of the lines of an ARPA file.

    Raises:
        ConfigError: they are none; says which line.
    """
    probabilities: dict[tuple[str, ...], tuple[float, float]] = {}
    counts: dict[int, int] = {}
    found: dict[int, int] = {}
    order = 0
    ended = False
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text == "\\data\\":
            continue
        if text == "\\end\\":
            ended = True
            break
        if header := _HEADER.fullmatch(text):
            counts[int(header[1])] = int(header[2])
        elif text.startswith("\\") and text.endswith("-grams:"):
            order = int(text[1:].removesuffix("-grams:"))
        elif order:
            parts = text.split()
            if len(parts) not in (order + 1, order + 2):
                raise ConfigError(
                    f"{source}, line {number}: not a group of {order} words with its probability: {text!r}."
                )
            try:
                values = float(parts[0]), float(parts[order + 1]) if len(parts) > order + 1 else 0.0
            except ValueError:
                raise ConfigError(f"{source}, line {number}: a probability that is no number: {text!r}.") from None
            probabilities[tuple(parts[1 : order + 1])] = (values[0] * _LN10, values[1] * _LN10)
            found[order] = found.get(order, 0) + 1
    if not ended or not counts:
        raise ConfigError(f"{source} is no ARPA file: it has no {'end' if counts else 'counts of n-grams'}.")
    if counts != found:
        raise ConfigError(f"{source} holds {found} n-grams by length, and says that there are {counts}: it is damaged.")
    return Ngrams(probabilities, max(counts))
