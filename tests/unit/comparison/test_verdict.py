"""The rules of the verdict, each on figures that leave no doubt about what it must say."""

import pytest

from polymodal.comparison.entries import Entry
from polymodal.comparison.result import Interactions, Line, Pair
from polymodal.comparison.verdict import needless, verdict
from polymodal.config.run_config import RunConfig
from polymodal.metrics.bootstrap import Interval
from polymodal.metrics.significance import Difference

EVERY = ("image", "name", "speech")
REFERENCE = "concat"


def line(name, kind, value, inputs=EVERY, *, status="done", seconds=1.0):
    metrics = {"accuracy": Interval(value, value - 0.02, value + 0.02)} if status == "done" else {}
    entry = Entry(name, kind, RunConfig(), inputs)
    return Line(entry, status, "", 3, metrics, (value,), 1000, seconds, 0.01)


def gap(first, second, value, *, half=0.01, p=None):
    """The first is better by `value`, give or take `half`."""
    p = (0.001 if abs(value) > half else 0.5) if p is None else p
    return Pair(first, second, Difference(Interval(value, value - half, value + half), p, p, float("nan")), p)


def case(*, image=0.2, name=0.1, speech=0.05, best=0.1, half=0.01):
    """The reference; how much better it is than without each input, and than the best single input."""
    without = {"image": image, "name": name, "speech": speech}
    lines = [line("majority", "baseline", 0.1, ()), line(REFERENCE, "reference", 0.9)]
    pairs = [gap(REFERENCE, "majority", 0.8)]
    for place, one in enumerate(EVERY):
        worse = best + 0.1 * place
        lines.append(line(f"{one} only", "single", 0.9 - worse, (one,)))
        pairs.append(gap(REFERENCE, f"{one} only", worse, half=half))
    for one, value in without.items():
        lines.append(line(f"without {one}", "ablation", 0.9 - value, tuple(n for n in EVERY if n != one)))
        pairs.append(gap(REFERENCE, f"without {one}", value, half=half))
    return lines, pairs


def say(lines, pairs, *, greater_is_better=True):
    return verdict(lines, pairs, metric="accuracy", greater_is_better=greater_is_better)


def decisions(findings, kind):
    return {finding.subject: finding.decision for finding in findings if finding.kind == kind}


@pytest.mark.parametrize(
    ("best", "decision", "words"),
    [
        (0.1, "better", "Fusing pays: accuracy 0.900 with all inputs (concat), 0.800 with image only, the best single"),
        (0.005, "same", "Fusing does not show a gain"),
        (-0.1, "worse", "Fusing harms here"),
    ],
)
def test_fusing_against_the_best_single_input(best, decision, words):
    found = say(*case(best=best))
    assert decisions(found, "fusing") == {("concat", "image only"): decision}
    assert found[0].text.startswith(words)


@pytest.mark.parametrize(
    ("speech", "half", "decision", "words"),
    [
        (0.05, 0.01, "adds", "speech adds +0.050 [+0.040, +0.060] to the other inputs"),
        (-0.05, 0.01, "hurts", "speech hurts: with it -0.050 [-0.060, -0.040]"),
        (0.004, 0.01, "nothing", "speech adds nothing here: +0.004 [-0.006, +0.014], at most 0.014."),
        (0.004, 0.05, "unclear", "speech shows no gain: +0.004 [-0.046, +0.054]; up to 0.054 is not ruled out."),
    ],
)
def test_what_an_input_adds(speech, half, decision, words):
    found = say(*case(speech=speech, half=half))
    assert decisions(found, "input")[("speech",)] == decision
    assert any(finding.text.startswith(words) for finding in found)


@pytest.mark.parametrize(
    ("value", "half", "decision", "words"),
    [
        (
            0.1,
            0.01,
            "used",
            "Interactions of inputs pay: accuracy 0.900, without interactions 0.800 (EMAP on 200 rows)",
        ),
        (-0.1, 0.01, "hurt", "Interactions of inputs harm here: accuracy 0.900, without interactions 1.000"),
        (0.005, 0.01, "nothing", "concat gains nothing from interactions of inputs: accuracy 0.900, without"),
        (0.005, 0.05, "unclear", "Interactions of inputs show no gain: accuracy 0.900, without interactions 0.895"),
    ],
)
def test_whether_interactions_are_used(value, half, decision, words):
    model, additive = (Interval(one, one - 0.02, one + 0.02) for one in (0.9, 0.9 - value))
    difference = gap("model", "additive", value, half=half).difference
    found = verdict(
        *case(),
        metric="accuracy",
        greater_is_better=True,
        interactions=Interactions(200, model, additive, difference),
    )
    assert decisions(found, "interactions") == {("concat",): decision}
    assert found[1].text.startswith(words)


def test_a_difference_that_the_correction_takes_back_is_none():
    lines, pairs = case(speech=0.05)
    pairs = [gap(p.first, p.second, 0.05, p=0.06) if p.second == "without speech" else p for p in pairs]
    found = say(lines, pairs)
    assert decisions(found, "input")[("speech",)] == "unclear"
    words = "speech may add something, or be luck: +0.050 [+0.040, +0.060], p 0.060 corrected."
    assert words in [finding.text for finding in found]
    pairs = [gap(p.first, p.second, p.difference.interval.value, p=0.06) for p in pairs]
    found = say(lines, pairs)
    assert decisions(found, "fusing") == {("concat", "image only"): "unclear"}
    assert found[0].text.startswith("Fusing may pay, or be luck: ")


def test_two_inputs_are_enough_where_the_third_adds_nothing():
    found = say(*case(speech=0.0))
    assert decisions(found, "enough") == {("image", "name"): "same"}
    assert any(finding.text.startswith("image + name is enough: all inputs gain +0.000") for finding in found)


def test_one_input_is_enough_where_nothing_is_gained_on_it():
    found = say(*case(image=0.05, name=0.0, speech=0.0, best=0.005))
    assert decisions(found, "enough") == {("image",): "same"}


def test_what_lacks_an_input_that_adds_is_not_called_enough():
    found = say(*case(image=0.2, name=0.2, speech=0.02, best=0.04, half=0.05))
    assert decisions(found, "input") == {("image",): "adds", ("name",): "adds", ("speech",): "unclear"}
    assert decisions(found, "enough") == {("image", "name"): "unclear"}


def test_nothing_is_enough_where_every_input_adds():
    assert decisions(say(*case()), "enough") == {}


def test_fusions_that_cannot_be_told_apart_and_one_that_can():
    lines, pairs = case()
    lines += [line("attention", "fusion", 0.902, seconds=5.0), line("sum", "fusion", 0.7, seconds=0.5)]
    pairs += [gap(REFERENCE, "attention", -0.002), gap(REFERENCE, "sum", 0.2), gap("attention", "sum", 0.202)]
    found = [finding for finding in say(lines, pairs) if finding.kind == "fusions"]
    assert [finding.text for finding in found] == [
        "attention and concat cannot be told apart; concat trains fastest.",
        "attention beats sum: +0.202 [+0.192, +0.212], p 0.001.",
    ]


def test_a_baseline_that_is_not_beaten_is_said():
    lines, pairs = case()
    lines, pairs = [line("linear", "baseline", 0.91), *lines], [gap(REFERENCE, "linear", -0.05), *pairs]
    found = say(lines, pairs)
    assert decisions(found, "baseline") == {("concat", "linear"): "worse"}
    assert "The baseline linear (accuracy 0.910) is not beaten" in found[-1].text


def test_of_errors_the_margin_is_a_share():
    lines, pairs = case(speech=0.015, half=0.016)
    assert decisions(say(lines, pairs), "input")[("speech",)] == "unclear"  # .031 is above .02
    assert decisions(say(lines, pairs, greater_is_better=False), "input")[("speech",)] == "unclear"
    lines, pairs = case(speech=0.0, half=0.019)
    assert decisions(say(lines, pairs), "input")[("speech",)] == "nothing"
    assert decisions(say(lines, pairs, greater_is_better=False), "input")[("speech",)] == "unclear"  # above .018


def test_what_was_not_measured_is_said_and_enters_nothing():
    lines, pairs = case()
    lines = [line(of.entry.name, of.entry.kind, 0.0, of.entry.inputs, status="stopped")
             if of.entry.name == "without speech" else of for of in lines]  # fmt: skip
    lines += [line("gated", "fusion", 0.0, status="not run"), line("tensor", "fusion", 0.0, status="failed")]
    found = say(lines, [pair for pair in pairs if pair.second != "without speech"])
    assert set(decisions(found, "input")) == {("image",), ("name",)}
    assert [finding.text for finding in found][-2:] == [
        "Not measured: without speech, gated.",
        "Failed, and left out: tensor.",
    ]


def test_without_the_reference_nothing_is_said():
    (found, left) = say([line(REFERENCE, "reference", 0.0, status="stopped")], [])
    assert found.text == "Nothing can be said: not even the reference came to its end."
    assert left.subject == (REFERENCE,)


def test_needless_are_inputs_whose_gain_may_be_none():
    assert needless(*case(image=0.005, speech=-0.1)) == ("image", "speech")


def test_a_pair_is_seen_from_either_side():
    turned = gap("a", "b", 0.03, half=0.01).turned()
    assert (turned.first, turned.second) == ("b", "a")
    interval = turned.difference.interval
    assert (interval.value, interval.low, interval.high) == pytest.approx((-0.03, -0.04, -0.02))
