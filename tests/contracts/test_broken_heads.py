"""The contract check must fail on heads, losses and predictions that break one rule each."""

from dataclasses import dataclass, replace

import pytest
import torch
from task_variants import with_criterion, with_head, with_transcribe_head
from torch import Tensor, nn
from torch.export import register_dataclass

from polymodal.layers.scores_head import ScoresHead
from polymodal.tasks.classify import ClassLoss
from polymodal.tasks.match import Match, MatchHead
from polymodal.tasks.transcribe import FrameLogits, TranscribeHead
from polymodal.testing import check_task
from polymodal.types import Cells, Embeddings, Scores, Sequences, Tokens

SIDES = {"sides": {"picture": ["first"], "words": ["second"]}}

# --- predictions


class GuessesForNobody(ScoresHead):
    def forward(self, tokens, target=None, progress=1.0):
        scores = super().forward(tokens)
        return Scores(self.readout.linear(tokens[""].values.mean(dim=1)), scores.present)


class SaysAllArePresent(ScoresHead):
    def forward(self, tokens, target=None, progress=1.0):
        return replace(super().forward(tokens), present=torch.ones(len(tokens[""].mask), dtype=torch.bool))


class SeesPadding(ScoresHead):
    def forward(self, tokens, target=None, progress=1.0):
        scores = super().forward(tokens)
        seen = tokens[""].values.sum(dim=(1, 2)).unsqueeze(1)
        return Scores.with_prior(scores.values + seen, scores.present, self.prior)


class MixesRows(ScoresHead):
    def forward(self, tokens, target=None, progress=1.0):
        scores = super().forward(tokens)
        return Scores.with_prior(scores.values - scores.values.mean(dim=0), scores.present, self.prior)


class NotFinite(ScoresHead):
    def forward(self, tokens, target=None, progress=1.0):
        scores = super().forward(tokens)
        return replace(scores, values=scores.values / (scores.present.unsqueeze(1) & True))


class NoPrediction(ScoresHead):
    def predict(self, tokens):
        return super().predict(tokens).values


@dataclass(frozen=True)
class Unregistered:
    values: Tensor
    present: Tensor

    def rows(self, index):
        return type(self)(self.values[index], self.present[index])

    def cpu(self):
        return type(self)(self.values.float().cpu(), self.present.cpu())

    @classmethod
    def joined(cls, parts):
        return cls(torch.cat([part.values for part in parts]), torch.cat([part.present for part in parts]))


class WrongRows(Unregistered):
    def rows(self, index):
        return type(self)(self.values[index], self.present[index.sort().values])


class RowsOfOne(Unregistered):
    """Forgets that an index may be a mask."""

    def rows(self, index):
        return super().rows(index.long())


class JoinsBackwards(Unregistered):
    @classmethod
    def joined(cls, parts):
        return super().joined(list(parts)[::-1])


class KeepsHalf(Unregistered):
    def cpu(self):
        return type(self)(self.values.cpu(), self.present.cpu())


class RoundsOnTheWay(Unregistered):
    def cpu(self):
        return type(self)(self.values.round(), self.present)


for _kind in (WrongRows, RowsOfOne, JoinsBackwards, KeepsHalf, RoundsOnTheWay):
    register_dataclass(dataclass(frozen=True)(_kind))


def predicting(kind: type) -> type:
    """A classifier whose predictions are of another class."""

    class Head(ScoresHead):
        def predict(self, tokens):
            scores = super().predict(tokens)
            return kind(scores.values, scores.present)

    return with_head(Head)


class SeesHowLongTheBatchIs(TranscribeHead):
    """All its steps are masked as they should be; but it divides by how many there are with padding."""

    def forward(self, tokens, target=None, progress=1.0):
        frames = super().forward(tokens, target, progress)
        steps = frames.log_probabilities.shape[1]
        tilted = frames.log_probabilities.clone()
        tilted[:, :, 2] = tilted[:, :, 2] + 4 * (steps % 2)
        return FrameLogits(tilted.log_softmax(dim=2), frames.lengths)


class DecodesPadding(TranscribeHead):
    def predict(self, tokens):
        (only,) = tokens.values()
        return super().predict({"": Tokens(only.values, only.present.unsqueeze(1).expand_as(only.mask))})


class SharesOneSide(MatchHead):
    """Where one side is absent, it takes the other."""

    def predict(self, tokens):
        points = super().predict(tokens)
        there = points.mask.any(dim=1, keepdim=True)
        return Embeddings(points.values, there.expand(-1, 2) & ~points.mask)


# --- losses


class LossOfTheUnknown(ClassLoss):
    def forward(self, scores, target):
        return super().forward(scores, Cells(target.values, torch.ones_like(target.lengths)))


class OnlyWhereAllAreUnknown(ClassLoss):
    def forward(self, scores, target):
        every = Cells(target.values, torch.ones_like(target.lengths))
        return super().forward(scores, every if target.present.any() else target)


class WeighsByTheKnown(ClassLoss):
    def forward(self, scores, target):
        return super().forward(scores, target) / target.present.float().mean().clamp(min=0.01)


class OneLossForAll(ScoresHead):
    def loss(self, output, target):
        return super().loss(output, target).mean()


class LogOfZero(ClassLoss):
    def forward(self, scores, target):
        return super().forward(scores, target) + torch.where(target.present, 0.0, 0.0) / (target.values[:, 0] - 1).abs()


class AgainstTheOthers(ClassLoss):
    def forward(self, scores, target):
        loss = super().forward(scores, target)
        return torch.where(target.present, loss - loss.mean() + 5, 0)


class SureBeyondOne(ClassLoss):
    def confidence(self, scores, target):
        return super().confidence(scores, target) * 3


class InBatchLossDependsOnOrder(MatchHead):
    """What the loss needs stands outside of the output: parts of a batch cannot be joined."""

    def forward(self, tokens, target=None, progress=1.0):
        points = super().forward(tokens, target, progress)
        self.size = float(len(points.mask))
        return points

    def loss(self, output, target):
        return super().loss(output, target) * self.size


class OutputOfWholeBatch(TranscribeHead):
    def loss(self, output, target):
        return super().loss(output[0], target)

    def forward(self, tokens, target=None, progress=1.0):
        return super().forward(tokens, target, progress), torch.zeros(3)

    def predict(self, tokens):
        (only,) = tokens.values()
        none = torch.zeros(len(only.mask), 1)
        return Sequences(none.long().unsqueeze(2), none.long(), none, only.present)


# --- what learns


class LearnsOutside(ScoresHead):
    def __init__(self, *parts):
        super().__init__(*parts)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, tokens, target=None, progress=1.0):
        scores = super().forward(tokens)
        return Scores.with_prior(scores.values + self.bias, scores.present, self.prior)


class OtherThanItsParts(ScoresHead):
    """What late fusion would build of the parts is not this head."""

    def forward(self, tokens, target=None, progress=1.0):
        scores = super().forward(tokens)
        return Scores.with_prior(2 * scores.values, scores.present, self.prior)


class NeverTrained(ScoresHead):
    def __init__(self, *parts):
        super().__init__(*parts)
        self.secret = [nn.Parameter(torch.ones(1))]

    def forward(self, tokens, target=None, progress=1.0):
        scores = super().forward(tokens)
        return Scores.with_prior(scores.values * self.secret[0], scores.present, self.prior)


class ForgetsOnSave(TranscribeHead):
    def __init__(self, *sizes, **settings):
        super().__init__(*sizes, **settings)
        self.slant = torch.randn(self.linear.out_features)

    def forward(self, tokens, target=None, progress=1.0):
        frames = super().forward(tokens, target, progress)
        return FrameLogits((frames.log_probabilities + self.slant).log_softmax(dim=2), frames.lengths)


def test_correct_variants_pass():
    check_task(with_head(ScoresHead))
    check_task(with_criterion(ClassLoss))
    check_task(with_transcribe_head(TranscribeHead))


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (with_head(GuessesForNobody), "`prior`|one and the same prediction"),
        (with_head(SaysAllArePresent), "`present` does not say"),
        (with_head(SeesPadding), "masked positions"),
        (with_head(MixesRows), "alone differs"),
        (with_head(NotFinite), "a prediction is not finite"),
        (with_head(NoPrediction), "no Prediction"),
        (predicting(Unregistered), "more than tensors"),
        (predicting(WrongRows), "rows does not select"),
        (predicting(RowsOfOne), "rows does not select"),
        (predicting(JoinsBackwards), "joined does not"),
        (predicting(KeepsHalf), "half precision"),
        (predicting(RoundsOnTheWay), "cpu changes"),
        (with_transcribe_head(SeesHowLongTheBatchIs), "alone differs"),
        (with_transcribe_head(DecodesPadding), "masked positions"),
        (with_criterion(LossOfTheUnknown), "loss is not 0"),
        (with_criterion(OnlyWhereAllAreUnknown), "loss is not 0"),
        (with_criterion(WeighsByTheKnown), "whether the target of others is known"),
        (with_head(OneLossForAll), "one finite number a row"),
        (with_criterion(LogOfZero), "one finite number a row"),
        (with_criterion(AgainstTheOthers), "depends on"),
        (with_criterion(SureBeyondOne), "confidence is not between"),
        (with_transcribe_head(OutputOfWholeBatch), "an output holds more"),
        (with_head(LearnsOutside), "outside of `readout`"),
        (with_head(OtherThanItsParts), "not that of `readout`, `criterion` and `prior`"),
        (with_head(NeverTrained), "plain list|parts"),
        (with_transcribe_head(ForgetsOnSave), "state_dict"),
    ],
)
def test_broken_heads_are_caught(part, words):
    with pytest.raises(AssertionError, match=words):
        check_task(part)


class MatchWith(Match):
    made: type = MatchHead

    def head(self, widths):
        return self.made(self.config, widths)


class MatchOfOneSide(MatchWith):
    made = SharesOneSide


class MatchOutsideOutput(MatchWith):
    made = InBatchLossDependsOnOrder


class MatchAlone(MatchWith):
    """Says that its loss is of each row by itself."""

    class made(MatchHead):
        in_batch = False


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (MatchOfOneSide, "`present` does not say"),
        (MatchOutsideOutput, "of parts of a batch, joined"),
        (MatchAlone, "say so with `in_batch`"),
    ],
)
def test_broken_heads_of_two_sides_are_caught(part, words):
    check_task(MatchWith, settings=SIDES)
    with pytest.raises(AssertionError, match=words):
        check_task(part, settings=SIDES)
