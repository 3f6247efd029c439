"""The contract checks must fail on parts that are wrong in the ways parts of published libraries have been."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from pydantic import ConfigDict
from torch import Tensor, nn

from polymodal.encoders.audio.cnn import Cnn
from polymodal.errors import ConfigError
from polymodal.fusions.average import Average
from polymodal.fusions.concat import Concat
from polymodal.fusions.low_rank import LowRank
from polymodal.fusions.sum import Sum
from polymodal.layers.projection import prepend_one
from polymodal.modalities.category import Category
from polymodal.tasks.classify import Classify
from polymodal.testing import check_encoder, check_fusion, check_modality, check_task
from polymodal.types import Prediction, Tokens


@dataclass(frozen=True)
class Settings:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")


class Fused(nn.Module):
    """A correct sum of projected means; the parts below each break one thing."""

    Config = Settings
    keeps_time = False

    def __init__(self, config: Settings, *, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.width = 8
        self.factors = self.collect({name: nn.Parameter(torch.randn(widths[name], 8)) for name in sorted(widths)})
        self.names = sorted(widths)

    def collect(self, factors: dict[str, nn.Parameter]):
        return nn.ParameterList(factors.values())

    def pool(self, tokens: Tokens) -> Tensor:
        kept = torch.where(tokens.mask.unsqueeze(-1), tokens.values, 0.0)
        return kept.sum(dim=1) / tokens.mask.sum(dim=1, keepdim=True).clamp(min=1)

    def mask(self, tokens: Mapping[str, Tokens]) -> Tensor:
        return torch.stack([tokens[name].present for name in self.names]).any(dim=0)

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        parts = [self.pool(tokens[name]) @ factor for name, factor in zip(self.names, self.factors, strict=True)]
        return Tokens.vector(torch.stack(parts).sum(dim=0), self.mask(tokens))


class FactorsInPlainList(Fused):
    """As in low-rank tensor fusion of MultiBench and PyKale: never trained, lost on save."""

    def collect(self, factors):
        return list(factors.values())


class LowRankInPlainList(LowRank):
    """The whole published layer: of widths 10 and 10, output 2 and rank 1, three of 47 parameters are registered."""

    def __init__(self, config, *, widths):
        super().__init__(config, widths=widths)
        factors = [nn.Parameter(factor.detach().clone()) for factor in self.factors]
        del self.factors
        self.factors = factors


class LowRankWithoutBias(LowRank):
    """Its bias is registered, and forgotten in the sum."""

    def forward(self, tokens):
        vectors, present = self.inputs(tokens)
        mapped = [
            torch.einsum("bd,rdo->bro", prepend_one(vector), factor)
            for vector, factor in zip(vectors, self.factors, strict=True)
        ]
        products = torch.stack(mapped).prod(dim=0)
        return Tokens.vector(torch.einsum("r,bro->bo", self.weights, products), present.any(dim=1))


class LowRankWithoutMask(LowRank):
    """Takes the mean over padding, too."""

    def forward(self, tokens):
        return super().forward({name: Tokens.vector(t.values.mean(dim=1), t.present) for name, t in tokens.items()})


class DropsAbsentMask(Fused):
    def mask(self, tokens):
        return torch.ones(len(next(iter(tokens.values())).mask), dtype=torch.bool)


class IgnoresMask(Fused):
    def pool(self, tokens):
        return tokens.values.mean(dim=1)


class MixesRows(Fused):
    def forward(self, tokens):
        fused = super().forward(tokens)
        return Tokens(fused.values - fused.values.mean(dim=0), fused.mask)


class SkipsAbsentInputs(Fused):
    """Its factors get no gradient when an input is absent from the whole batch."""

    def forward(self, tokens):
        parts = [
            self.pool(tokens[name]) @ factor
            for name, factor in zip(self.names, self.factors, strict=True)
            if tokens[name].present.any()
        ]
        nothing = torch.zeros(len(self.mask(tokens)), self.width)
        return Tokens.vector(torch.stack([nothing, *parts]).sum(dim=0), self.mask(tokens))


class OneResultTooMany(Fused):
    """As MultiplicativeInteractions3Modal of MultiBench: B x B x out."""

    def forward(self, tokens):
        fused = super().forward(tokens)
        return Tokens(fused.values.transpose(0, 1) + fused.values, fused.mask.expand(-1, len(fused.mask)))


class FollowsDictOrder(Fused):
    def forward(self, tokens):
        fused = super().forward(tokens)
        return Tokens(fused.values + self.pool(next(iter(tokens.values()))).sum(dim=1).view(-1, 1, 1), fused.mask)


class GivesNanForNothing(Fused):
    def pool(self, tokens):
        return torch.where(tokens.mask.unsqueeze(-1), tokens.values, 0.0).sum(dim=1) / tokens.mask.sum(1, keepdim=True)


class TellsAWrongWidth(Fused):
    def __init__(self, config, *, widths):
        super().__init__(config, widths=widths)
        self.width = 9


class TakesAnySetting(Fused):
    @dataclass(frozen=True)
    class Config:
        pass


class RandomInEval(Fused):
    def forward(self, tokens):
        fused = super().forward(tokens)
        return Tokens(nn.functional.dropout(fused.values, 0.5), fused.mask)


def test_the_correct_fusion_passes():
    check_fusion(Fused)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (FactorsInPlainList, "plain list"),
        (LowRankInPlainList, "plain list"),
        (LowRankWithoutBias, "no gradient reaches bias"),
        (LowRankWithoutMask, "mask of an input is ignored"),
        (DropsAbsentMask, "present exactly where"),
        (IgnoresMask, "mask of an input is ignored"),
        (MixesRows, "rows mix"),
        (SkipsAbsentInputs, "no gradient reaches"),
        (OneResultTooMany, "yet there are several tokens"),
        (FollowsDictOrder, "order"),
        (GivesNanForNothing, "not finite"),
        (TellsAWrongWidth, "`width` says 9"),
        (TakesAnySetting, "unknown setting"),
        (RandomInEval, "in eval"),
    ],
)
def test_broken_fusions_are_caught(part, words):
    with pytest.raises(AssertionError, match=words):
        check_fusion(part)


def test_the_published_low_rank_layer_registers_3_of_47_parameters():
    config, widths = LowRank.Config(width=2, rank=1, project=False), {"a": 10, "b": 10}
    found = [sum(p.numel() for p in part(config, widths=widths).parameters()) for part in (LowRankInPlainList, LowRank)]
    assert found == [3, 47]


@pytest.mark.parametrize("part", [Average, Concat, Sum])
def test_classes_are_taken_like_names(part):
    check_fusion(part)


def test_settings_reach_the_part():
    with pytest.raises(ConfigError, match="unequal width"):
        check_fusion(Average, settings={"project": False})


class AudioSeesPadding(Cnn):
    def forward(self, cells):
        tokens = super().forward(cells)
        return Tokens(tokens.values + cells.values.mean(dim=1).view(-1, 1, 1), tokens.mask)


class NeverForgets(Cnn):
    """Holds what it needs outside of its state_dict."""

    def __init__(self, config, modality):
        super().__init__(config, modality)
        self.secret = torch.randn(())

    def forward(self, cells):
        tokens = super().forward(cells)
        return Tokens(tokens.values * self.secret, tokens.mask)


class SaysFrozen(Cnn):
    frozen = True


@pytest.mark.parametrize(
    ("part", "words"), [(AudioSeesPadding, "padding shows"), (NeverForgets, "state_dict"), (SaysFrozen, "frozen")]
)
def test_broken_encoders_are_caught(part, words):
    with pytest.raises(AssertionError, match=words):
        check_encoder(part, "audio", settings={"channels": 2, "width": 4})


class ChangesItself(Category):
    """Counts on from the last call, as a fit that changes its object would."""

    calls = 0

    def fit(self, arrays):
        ChangesItself.calls += 1
        return super().fit(list(arrays)[: ChangesItself.calls])


class HidesMissing(Category):
    def collate(self, arrays):
        cells = super().collate(arrays)
        return type(cells)(cells.values, torch.ones_like(cells.lengths))


class RemarksInNumbers(Category):
    def remark(self, cell):
        return len(cell)


@pytest.mark.parametrize(
    ("part", "words"),
    [(ChangesItself, "second time"), (HidesMissing, "lengths must be 0"), (RemarksInNumbers, "None nor words")],
)
def test_broken_modalities_are_caught(part, words):
    with pytest.raises(AssertionError, match=words):
        check_modality(part, cells=["red", "green", "blue"])


class GuessesForNobody(Classify):
    def forward(self, tokens):
        prediction = super().forward(tokens)
        scores = self.readout.linear(tokens.values.mean(dim=1))
        return Prediction(scores, prediction.present)


def test_broken_task_is_caught():
    with pytest.raises(AssertionError, match="prior"):
        check_task(GuessesForNobody)
