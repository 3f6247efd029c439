"""Speech to text: CTC against all paths one by one, greedy decoding against a loop, edits against torchaudio."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from scipy.special import log_softmax, logsumexp
from torch.nn import functional as F
from torchaudio.functional import edit_distance as reference_distance

from polymodal.errors import DataError
from polymodal.metrics.edits import edit_distance
from polymodal.metrics.rows import RowStatistics
from polymodal.protocols import Head, Needs, Task
from polymodal.tasks.transcribe import FrameLogits, Transcribe, TranscribeConfig, TranscribeHead
from polymodal.types import Cells, Sequences, Tokens

TEXTS = ["yes", "no", "a no", "say", "no", "yes", "on"]
RNG = np.random.default_rng(0)


def fitted(texts: Sequence[object] = TEXTS, **settings: object) -> Transcribe:
    config = TranscribeConfig(**{"min_count": 1, **settings})
    return Transcribe(config, Transcribe(config).fit(texts, column="spoken"))


def head(task: Transcribe | None = None, width: int = 4) -> TranscribeHead:
    torch.manual_seed(0)
    return (task or fitted()).head({"": width}).eval()


def encode(task: Transcribe, values: Sequence[object]) -> Cells:
    return task.collate([task.encode(value) for value in values])


def said(task: Transcribe, texts: Sequence[str]) -> Sequences:
    """A prediction of these texts."""
    target = encode(task, texts)
    every = torch.ones(len(texts), 1)
    return Sequences(target.values.unsqueeze(1), target.lengths.unsqueeze(1), -every, every[:, 0] > 0)


def test_keeps_the_protocols() -> None:
    assert isinstance(fitted(), Task)
    assert isinstance(head(), Head)
    assert not head().in_batch
    assert fitted(token_seconds=0.02).needs() == Needs(time=True, token_seconds=0.02)
    assert Transcribe.recognise(TEXTS) is None


def test_another_search_keeps_the_case_of_the_model(tmp_path) -> None:
    (tmp_path / "words.txt").write_text("Yes", encoding="utf-8")
    task = fitted(["Yes", "No", "no", "yes"], lower=False)
    network = head(task)
    tokens = Tokens(4 * torch.randn(8, 20, 4), torch.ones(8, 20, dtype=torch.bool))
    task.search(network, {"name": "beam", "words": str(tmp_path / "words.txt")})
    found = task.decode(network.predict({"": tokens}))["prediction"].tolist()
    assert {word for text in found for word in text.split()} == {"Yes"}


# --- the target


def test_characters_of_the_training_rows_in_order() -> None:
    found = Transcribe(TranscribeConfig(min_count=1)).fit([*TEXTS, None, math.nan, ""], column="spoken")
    assert found["characters"] == [" ", "a", "e", "n", "o", "s", "y"]
    assert found["commonest"] in {"yes", "no"}
    assert (found["column"], found["notes"]) == ("spoken", [])
    assert TypeAdapter(dict).validate_json(TypeAdapter(dict).dump_json(found)) == found


def test_rare_characters_are_not_learned_and_said() -> None:
    found = Transcribe(TranscribeConfig(min_count=2)).fit(["no", "no", "né"], column="spoken")
    assert found["characters"] == ["n", "o"]
    assert found["notes"] == ["spoken: 1 of 3 characters occur less than 2 times, and are not learned"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["yes", 3], "'spoken' holds 3, which is no text"),
        ([None, ""], "'spoken' holds no text in the 2 training rows"),
        (["  ", "\t"], "'spoken' holds no text in the 2 training rows"),
        (["a", "b"], "lower task.min_count"),
    ],
)
def test_targets_that_cannot_be(values: list[object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        Transcribe(TranscribeConfig(min_count=2)).fit(values, column="spoken")
    with pytest.raises(DataError, match=r"'spoken' holds 3\.5, which is no text"):
        fitted().encode(3.5)


def test_texts_of_white_space_alone_are_unknown() -> None:
    task = fitted(["  ", "  ", "  ", "no", "yes"])
    assert task.encode(" \t") is None
    assert task.commonest in {"no", "yes"}
    baseline = task.baselines({}, None, 3)["commonest"]
    assert task.decode(baseline)["prediction"].tolist() == [task.commonest] * 3


@pytest.mark.parametrize(("value", "text"), [("  A\tno \n", "a no"), ("ye\u0301s", "yés"), ("NO", "no")])
def test_texts_are_composed_with_single_blanks_in_lower_case(value: str, text: str) -> None:
    task = fitted([*TEXTS, "yés"])
    assert task.encode(value).tolist() == task.encode(text).tolist()
    assert task.decode(said(task, [value]))["prediction"].tolist() == [text]


def test_case_can_be_kept() -> None:
    task = fitted(["No", "no"], lower=False)
    assert task.decode(said(task, ["No"]))["prediction"].tolist() == ["No"]


def test_targets_are_padded_and_unknown_ones_have_length_zero() -> None:
    target = encode(fitted(), ["no", None, "a no"])
    assert target.lengths.tolist() == [2, 0, 4]
    assert target.values[1].tolist() == [0] * 4
    assert target.values[0, 2:].tolist() == [0, 0]
    assert (target.values[0, :2] > 1).all()
    assert encode(fitted(), [None]).values.shape == (1, 1)


# --- the loss


def ctc(log_probabilities: np.ndarray, text: Sequence[int]) -> float:
    """Minus log of the sum over all paths that collapse to the text, each looked at."""
    steps, size = log_probabilities.shape
    found = []
    for path in itertools.product(range(size), repeat=steps):
        collapsed = [place for place, _ in itertools.groupby(path) if place != 0]
        if collapsed == list(text):
            found.append(sum(log_probabilities[step, place] for step, place in enumerate(path)))
    return -float(logsumexp(found)) if found else math.inf


def frames(steps: int, lengths: Sequence[int], size: int = 4) -> FrameLogits:
    values = log_softmax(RNG.normal(size=(len(lengths), steps, size)), axis=2)
    return FrameLogits(torch.from_numpy(values), torch.tensor(lengths))


@pytest.mark.parametrize("text", [[2], [2, 3], [3, 3], [2, 3, 2], [1, 2]])
@pytest.mark.parametrize("length", [3, 5])
def test_the_loss_is_the_sum_over_all_paths(text: list[int], length: int) -> None:
    output = frames(6, [length])
    target = Cells(torch.tensor([text]), torch.tensor([len(text)]))
    expected = ctc(output.log_probabilities[0, :length].numpy(), text) / len(text)
    assert head().loss(output, target).item() == pytest.approx(expected, rel=1e-9)


def test_what_cannot_be_learned_from_has_no_loss_and_no_gradient() -> None:
    """A text that is unknown; longer than the steps; a repeat without a step for the blank; no sound."""
    output = frames(6, [6, 2, 2, 0, 6])
    values = output.log_probabilities.requires_grad_()
    target = Cells(torch.tensor([[0, 0, 0], [2, 3, 2], [2, 2, 0], [2, 0, 0], [2, 3, 0]]), torch.tensor([0, 3, 2, 1, 2]))
    loss = head().loss(output, target)
    loss.sum().backward()
    assert (loss != 0).tolist() == [False, False, False, False, True]
    assert torch.isfinite(values.grad).all()
    assert (values.grad != 0).any(dim=(1, 2)).tolist() == [False, False, False, False, True]


def test_masked_steps_change_nothing_nor_get_a_gradient() -> None:
    model, target = head().train(), encode(fitted(), ["no", "yes"])
    mask = torch.arange(9) < torch.tensor([[5], [9]])
    values = torch.randn(2, 9, 4)
    results = []
    for garbage in (0.0, 1e3, math.nan):
        model.zero_grad()
        torch.manual_seed(0)
        batch = {"": Tokens(torch.where(mask.unsqueeze(2), values, garbage), mask)}
        loss = model.loss(model(batch), target)
        loss.sum().backward()
        with torch.no_grad():
            found = model.eval().predict(batch)
        model.train()
        results.append([loss.detach(), model.linear.weight.grad.clone(), found.ids[:, 0, :1], found.log_probability])
    for others in results[1:]:
        for first, other in zip(results[0], others, strict=True):
            torch.testing.assert_close(other, first)


# --- decoding


def greedy(best: Sequence[int]) -> list[int]:
    found, before = [], 0
    for place in best:
        if place not in (before, 0, 1):
            found.append(place)
        before = place
    return found


def test_greedy_decoding_is_that_of_a_loop() -> None:
    task = fitted()
    model = head(task, width=3)
    lengths = torch.tensor([12, 0, 1, 7, 12, 5])
    batch = {"": Tokens(2 * torch.randn(6, 12, 3), torch.arange(12) < lengths.unsqueeze(1))}
    with torch.no_grad():
        model.linear.bias.zero_()
        model.linear.weight.mul_(4)
        logits, found = model(batch).log_probabilities, model.predict(batch)
    best = logits.max(dim=2)
    for row, length in enumerate(lengths.tolist()):
        expected = greedy(best.indices[row, :length].tolist())
        assert found.ids[row, 0, : found.lengths[row, 0]].tolist() == expected
        assert found.log_probability[row, 0].item() == pytest.approx(best.values[row, :length].sum().item(), abs=1e-5)
    assert found.present.tolist() == (lengths > 0).tolist()
    assert found.lengths.max() > 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [([2, 2, 0, 2], [2, 2]), ([0, 0, 3], [3]), ([2, 1, 2], [2, 2]), ([1, 1, 3, 3, 0], [3]), ([0, 0], [])],
)
def test_repeats_blanks_and_unknown_characters_are_taken_out(path: list[int], expected: list[int]) -> None:
    model = head(width=9)
    with torch.no_grad():
        model.linear.bias.zero_()
        model.linear.weight.copy_(torch.eye(9))
        found = model.predict({"": Tokens(F.one_hot(torch.tensor([path]), 9).float(), torch.ones(1, len(path)).bool())})
    assert found.ids[0, 0, : found.lengths[0, 0]].tolist() == expected == greedy(path)


def test_without_sound_there_is_the_empty_text() -> None:
    task = fitted()
    with torch.no_grad():
        found = head(task).predict({"": Tokens(torch.randn(2, 3, 4), torch.zeros(2, 3, dtype=torch.bool))})
    decoded = task.decode(found)
    assert decoded["prediction"].tolist() == ["", ""]
    assert decoded["log_probability"].tolist() == [0, 0]
    assert found.present.tolist() == [False, False]


def test_training_starts_from_the_frequencies_of_the_characters() -> None:
    task = fitted(["aab", "a"])
    shares = task.prior.exp()
    assert shares.sum().item() == pytest.approx(1)
    assert shares[0] == 0.5
    assert (shares[2] / shares[3]).item() == pytest.approx(3)
    torch.testing.assert_close(head(task).linear.bias.detach(), task.prior)


# --- metrics


def test_edit_distance_is_that_of_torchaudio() -> None:
    for _ in range(300):
        first, second = ("".join(RNG.choice(list("abc "), RNG.integers(0, 9))) for _ in range(2))
        assert edit_distance(first, second) == reference_distance(first, second)
        assert edit_distance(first.split(), second.split()) == reference_distance(first.split(), second.split())


def measure(task: Transcribe, predicted: Sequence[str], true: Sequence[object]) -> dict[str, float]:
    return RowStatistics.of(task, said(task, predicted), encode(task, true)).values()


def test_error_rates_are_of_all_rows_together() -> None:
    true, predicted = ["a no", "yes", "no no", None], ["a no", "yea", "no", "yes"]
    found = measure(fitted(), predicted, true)
    assert found["cer"] == pytest.approx((0 + 1 + 3) / (4 + 3 + 5))
    assert found["wer"] == pytest.approx((0 + 1 + 1) / (2 + 1 + 2))
    assert found["exact_match"] == pytest.approx(1 / 3)
    assert set(found) == set(Transcribe.greater_is_better) >= {Transcribe.metric, Transcribe.monitor}


def test_a_weight_is_a_repetition() -> None:
    task = fitted()
    true, predicted = ["a no", "yes", "no no", "on"], ["a on", "yea", "no", "on"]
    counts = RNG.integers(0, 4, (5, 4))
    found = RowStatistics.of(task, said(task, predicted), encode(task, true)).metrics(counts.astype(float))
    for place, times in enumerate(counts):
        again = [[texts[row] for row in np.repeat(np.arange(4), times)] for texts in (predicted, true)]
        assert {name: value[place] for name, value in found.items()} == pytest.approx(measure(task, *again))


def test_a_character_that_was_not_learned_is_an_error_whatever_is_predicted() -> None:
    task = fitted()
    found = measure(task, ["no"], ["nö"])
    assert (found["cer"], found["wer"], found["exact_match"]) == (1 / 2, 1, 0)
    assert measure(task, ["nö"], ["nö"])["exact_match"] == 0


def test_the_baseline_is_the_commonest_text() -> None:
    task = fitted(["no", "yes", "no"])
    found = task.baselines({}, None, 2)["commonest"]
    assert task.decode(found)["prediction"].tolist() == ["no", "no"]
    assert RowStatistics.of(task, found, encode(task, ["no", "yes"])).values()["exact_match"] == 0.5


def test_learns_to_read_a_sound_of_tones() -> None:
    """Of each character one tone of three steps, between them silence."""
    torch.manual_seed(0)
    texts = ["abba", "bab", "aab", "b", "ba"] * 4
    task = fitted(texts, dropout=0.0)
    tones, values, lengths = torch.randn(3, 6), torch.zeros(20, 18, 6), []
    for row, text in enumerate(texts):
        steps = [tone for c in text for tone in ("ab".index(c), "ab".index(c), 2, 2)]
        values[row, : len(steps)] = tones[steps] + 0.1 * torch.randn(len(steps), 6)
        lengths.append(len(steps))
    batch = {"": Tokens(values, torch.arange(18) < torch.tensor(lengths).unsqueeze(1))}
    model, target = task.head({"": 6}), encode(task, texts)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(80):
        optimizer.zero_grad()
        model.loss(model(batch), target).mean().backward()
        optimizer.step()
    with torch.no_grad():
        found = RowStatistics.of(task, model.eval().predict(batch), target).values()
    assert found["cer"] < 0.05


@pytest.mark.parametrize("settings", [{"token_seconds": 0}, {"min_count": 0}, {"dropout": 1.0}, {"lowr": True}])
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(TranscribeConfig).validate_python(settings)
