"""What the figures of a comparison say, in plain sentences. Every rule is one function.

`differs` means that the difference is significant after the correction for all pairs. That no difference shows is not
taken for equality: only where the interval leaves no room for more than the margin, "adds nothing" is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from polymodal.comparison.result import Interactions, Line, Pair, VerdictSentence, find
from polymodal.metrics.figures import figure, of_p

SHARE = 0.02
"""The margin: so much of metrics that rise to 1; of errors, this share of the reference's."""


def verdict(
    lines: Sequence[Line],
    pairs: Sequence[Pair],
    *,
    metric: str,
    greater_is_better: bool,
    interactions: Interactions | None = None,
) -> list[VerdictSentence]:
    """The findings that the entries which came to their end allow, on the metric that was compared."""
    done = [line for line in lines if line.status == "done"]
    reference = next((line for line in done if line.entry.kind == "reference"), None)
    incomplete = _incomplete(lines)
    if reference is None:
        said = "Nothing can be said: not even the reference came to its end."
        return [VerdictSentence("incomplete", (), "unclear", said), *incomplete]
    margin = SHARE if greater_is_better else SHARE * abs(reference.metrics[metric].value)
    guessed = any(line.entry.kind == "single" and line.status != "done" for line in lines)
    case = _Case(done, pairs, reference, metric, margin, guessed)
    of_interactions = [] if interactions is None else [case.interactions(interactions)]
    return [
        *case.fusing(),
        *of_interactions,
        *case.inputs(),
        *case.enough(),
        *case.fusions(),
        *case.baseline(),
        *incomplete,
    ]


def needless(lines: Sequence[Line], pairs: Sequence[Pair]) -> tuple[str, ...]:
    """Inputs without which the reference is not shown to be worse, each by itself: candidates to be left out."""
    reference = next(line for line in lines if line.entry.kind == "reference")
    found = []
    for line in lines:
        pair = find(pairs, reference.entry.name, line.entry.name)
        if line.entry.kind == "ablation" and pair is not None and pair.difference.interval.low <= 0:
            found += [name for name in reference.entry.inputs if name not in line.entry.inputs]
    return tuple(found)


@dataclass(frozen=True)
class _Case:
    """The entries that are done, seen from the reference."""

    done: Sequence[Line]
    pairs: Sequence[Pair]
    reference: Line
    metric: str
    margin: float
    guessed: bool  # not every single input was measured

    def against(self, line: Line) -> Pair:
        """The reference beside another entry: above zero where the reference is better."""
        pair = find(self.pairs, self.reference.entry.name, line.entry.name)
        assert pair is not None, "the reference is compared with every entry"
        return pair

    def of_kind(self, *kinds: str) -> list[Line]:
        """From the best to the worst, as the reference sees them."""
        found = [line for line in self.done if line.entry.kind in kinds]
        return sorted(found, key=lambda line: self.against(line).difference.interval.value)

    def value(self, line: Line) -> str:
        return f"{self.metric} {figure(line.metrics[self.metric].value)}"

    def fusing(self) -> Iterator[VerdictSentence]:
        """All inputs together against the best of them."""
        singles = self.of_kind("single")
        if not singles:
            return
        best, pair = singles[0], self.against(singles[0])
        known = " of those measured" if self.guessed else ""
        both = f"{self.value(self.reference)} with all inputs ({self.reference.entry.name})"
        other = f"{figure(best.metrics[self.metric].value)} with {best.entry.name}, the best single input{known}"
        gap = f"{pair.gain}, p {of_p(pair.p)}"
        if pair.better:
            decision, text = "better", f"Fusing pays: {both}, {other}; gain {gap}."
        elif pair.differs:
            decision, text = "worse", f"Fusing harms here: {both}, {other}; gain {gap}."
        elif pair.difference.interval.low > 0:
            decision, text = "unclear", f"Fusing may pay, or be luck: {both}, {other}; gain {gap} corrected."
        else:
            decision, text = "same", f"Fusing does not show a gain: {both}, {other}; gain {gap}."
        yield VerdictSentence("fusing", (self.reference.entry.name, best.entry.name), decision, text)

    def interactions(self, found: Interactions) -> VerdictSentence:
        """The reference against its additive projection."""
        interval = found.difference.interval
        values = f"{self.metric} {figure(found.model.value)}, without interactions {figure(found.additive.value)}"
        said = f"{values} (EMAP on {found.rows} rows); gain {found.gain}"
        if found.differs and interval.value > 0:
            decision, text = "used", f"Interactions of inputs pay: {said}, p {of_p(found.difference.p)}."
        elif found.differs:
            decision, text = "hurt", f"Interactions of inputs harm here: {said}, p {of_p(found.difference.p)}."
        elif interval.high <= self.margin:
            decision, text = (
                "nothing",
                f"{self.reference.entry.name} gains nothing from interactions of inputs: {said}.",
            )
        else:
            decision, text = "unclear", f"Interactions of inputs show no gain: {said}."
        return VerdictSentence("interactions", (self.reference.entry.name,), decision, text)

    def inputs(self) -> Iterator[VerdictSentence]:
        """What each input adds to all the others."""
        every = self.reference.entry.inputs
        for name in every:
            others = tuple(other for other in every if other != name)
            line = next((line for line in self._smaller() if line.entry.inputs == others), None)
            if line is not None and len(every) > 1:
                yield self._input(name, self.against(line))

    def _input(self, name: str, pair: Pair) -> VerdictSentence:
        interval, gap = pair.difference.interval, pair.gain
        if pair.better:
            decision, text = "adds", f"{name} adds {gap} to the other inputs, p {of_p(pair.p)}."
        elif pair.differs:
            decision, text = "hurts", f"{name} hurts: with it {gap}, p {of_p(pair.p)}; leave it out."
        elif interval.high <= self.margin:
            decision, text = "nothing", f"{name} adds nothing here: {gap}, at most {figure(interval.high)}."
        elif interval.low > 0:
            decision, text = "unclear", f"{name} may add something, or be luck: {gap}, p {of_p(pair.p)} corrected."
        else:
            decision, text = "unclear", f"{name} shows no gain: {gap}; up to {figure(interval.high)} is not ruled out."
        return VerdictSentence("input", (name,), decision, text)

    def enough(self) -> Iterator[VerdictSentence]:
        """The fewest inputs that do as well as all of them."""
        needed = {finding.subject[0] for finding in self.inputs() if finding.decision == "adds"}
        fits = [line for line in self._smaller() if not self.against(line).better]
        confidences = [line for line in fits if self.against(line).difference.interval.high <= self.margin]
        fits = [line for line in fits if needed <= set(line.entry.inputs)]
        if not (confidences or fits):
            return
        fewest = min(confidences or fits, key=lambda line: len(line.entry.inputs))
        names = " + ".join(fewest.entry.inputs)
        gained = f"all inputs gain {self.against(fewest).gain} on it"
        if confidences:
            decision, text = "same", f"{names} is enough: {gained}."
        else:
            more = "which may be chance; more rows or --repeats would tell."
            decision, text = "unclear", f"{names} may be enough: {gained}, {more}"
        yield VerdictSentence("enough", fewest.entry.inputs, decision, text)

    def _smaller(self) -> list[Line]:
        return [line for line in self.done if line.entry.kind in ("single", "ablation", "rest")]

    def fusions(self) -> Iterator[VerdictSentence]:
        """Which ways of fusing (and configurations of the user's) cannot be told from the best one."""
        ways = [*self.of_kind("fusion", "own"), self.reference]
        if len(ways) < 2:
            return
        ways.sort(key=lambda way: 0.0 if way is self.reference else self.against(way).difference.interval.value)
        best = ways[0]
        beside = [(line, find(self.pairs, best.entry.name, line.entry.name)) for line in ways[1:]]
        alike = [best, *(line for line, pair in beside if pair is not None and not pair.differs)]
        if len(alike) > 1:
            names = [line.entry.name for line in alike]
            cheap = min(alike, key=lambda line: line.seconds or 0.0)
            listed = f"{', '.join(names[:-1])} and {names[-1]}"
            text = f"{listed} cannot be told apart; {cheap.entry.name} trains fastest."
            yield VerdictSentence("fusions", tuple(names), "same", text)
        for line, pair in beside:
            if pair is not None and pair.differs:
                text = f"{best.entry.name} beats {line.entry.name}: {pair.gain}, p {of_p(pair.p)}."
                yield VerdictSentence("fusions", (best.entry.name, line.entry.name), "better", text)

    def baseline(self) -> Iterator[VerdictSentence]:
        """The reference against what costs nothing; said only where it is no better."""
        for line in self.of_kind("baseline"):
            pair = self.against(line)
            if pair.better:
                continue
            text = f"The baseline {line.entry.name} ({self.value(line)}) is not beaten: {pair.gain}, p {of_p(pair.p)}."
            decision = "worse" if pair.differs else "same"
            yield VerdictSentence("baseline", (self.reference.entry.name, line.entry.name), decision, text)


def _incomplete(lines: Sequence[Line]) -> Iterator[VerdictSentence]:
    for words, statuses in (("Not measured", ("stopped", "not run")), ("Failed, and left out", ("failed",))):
        names = tuple(line.entry.name for line in lines if line.status in statuses)
        if names:
            why = [f"{line.entry.name} ({line.reason})" if line.status == "not run" and line.reason else line.entry.name
                   for line in lines if line.status in statuses]  # fmt: skip
            yield VerdictSentence("incomplete", names, "unclear", f"{words}: {', '.join(why)}.")
