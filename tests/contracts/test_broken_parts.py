"""The contract checks must fail on parts that are wrong in the ways parts of published libraries have been."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from pydantic import ConfigDict
from torch import Tensor, nn

from polymodal.encoders.audio.cnn import Cnn
from polymodal.encoders.image.cnn import Cnn as PictureCnn
from polymodal.encoders.video.conv3d import Conv3d
from polymodal.errors import ConfigError
from polymodal.fusions.average import Average
from polymodal.fusions.concat import Concat
from polymodal.fusions.low_rank import LowRank
from polymodal.fusions.sum import Sum
from polymodal.layers.projection import prepend_one
from polymodal.modalities.category import Category
from polymodal.testing import check_encoder, check_fusion, check_modality
from polymodal.types import Tokens


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


class Kept(Fused):
    """The tokens of the anchor, with the sum of all inputs added; where it is absent, one token with the sum."""

    keeps_time = True
    anchor = "voice"

    def forward(self, tokens):
        fused = super().forward(tokens)
        anchor = self.asking(tokens)
        first = torch.arange(anchor.mask.shape[1]) == 0
        mask = anchor.mask | (~anchor.present & fused.present).unsqueeze(1) & first
        own = torch.where(anchor.mask.unsqueeze(2), anchor.values, 0.0).mean(dim=2, keepdim=True)
        return Tokens(fused.values + own, mask)

    def asking(self, tokens):
        return tokens[self.anchor]


class AnchorsAnother(Kept):
    """Names one input, and gives the tokens of another."""

    def asking(self, tokens):
        return tokens[min(tokens)]


class AnchorIsNoInput(Fused):
    anchor = "voise"


class SourceIsNoInput(Fused):
    sources = ("voise",)


class SourcesAreTooMany(Kept):
    """Names two inputs, and gives the tokens of one."""

    sources = ("note", "voice")


@pytest.mark.parametrize("part", [Fused, Kept])
def test_the_correct_fusion_passes(part):
    check_fusion(part)


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
        (AnchorsAnother, "is not the anchor's"),
        (AnchorIsNoInput, "the anchor 'voise' is no input"),
        (SourceIsNoInput, "are not all inputs"),
        (SourcesAreTooMany, "as many tokens as its sources"),
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


class TurnsTimeAround(Cnn):
    """The last token first: of each row by itself, so that padding does not show."""

    def forward(self, cells):
        tokens = super().forward(cells)
        steps = torch.arange(tokens.mask.shape[1])
        last = tokens.mask.sum(dim=1, keepdim=True) - 1
        order = torch.where(tokens.mask, last - steps, steps)
        return Tokens(tokens.values.gather(1, order.unsqueeze(2).expand_as(tokens.values)), tokens.mask)


class RepeatsItsMean(Cnn):
    """One vector for the whole cell, as many times as the cell is long, with what tells places apart."""

    def forward(self, cells):
        tokens = super().forward(cells)
        kept = torch.where(tokens.mask.unsqueeze(2), tokens.values, 0.0)
        mean = kept.sum(dim=1, keepdim=True) / tokens.mask.sum(dim=1)[:, None, None]
        places = torch.arange(tokens.mask.shape[1])[:, None] * torch.linspace(0.01, 1, self.width)
        return Tokens((mean + places.sin()).tanh(), tokens.mask)


class TellsHalfItsSpan(Cnn):
    """As an encoder whose last pooling was forgotten in the sum."""

    def __init__(self, config, modality):
        super().__init__(config, modality)
        self.token_span = self.token_span / 2


class TellsASpanWithoutTime(Cnn):
    keeps_time = False


class LengthensTokens(Cnn):
    @classmethod
    def spanning(cls, config, seconds):
        return dataclasses.replace(config, blocks=5)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (AudioSeesPadding, "padding shows"),
        (NeverForgets, "state_dict"),
        (SaysFrozen, "frozen"),
        (TurnsTimeAround, "do not follow the order of time"),
        (RepeatsItsMean, "do not follow the order of time"),
        (TellsHalfItsSpan, "7 tokens, of 0.08 seconds each"),
        (TellsASpanWithoutTime, "must keep time"),
        (LengthensTokens, "`spanning` changes settings"),
    ],
)
def test_broken_encoders_are_caught(part, words):
    with pytest.raises(AssertionError, match=words):
        check_encoder(part, "audio", settings={"channels": 2, "width": 4})


class PictureKeepsTime(PictureCnn):
    keeps_time = True


class ForgetsToKeepTime(Conv3d):
    @classmethod
    def spanning(cls, config, seconds):
        return config


@pytest.mark.parametrize(
    ("part", "modality", "words"),
    [
        (PictureKeepsTime, "image", "there is no time"),
        (ForgetsToKeepTime, "video", "`spanning` gives do not keep time"),
    ],
)
def test_broken_encoders_of_pictures_are_caught(part, modality, words):
    with pytest.raises(AssertionError, match=words):
        check_encoder(part, modality, settings={"channels": 2, "width": 4})


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
    def note(self, cell):
        return len(cell)


@pytest.mark.parametrize(
    ("part", "words"),
    [(ChangesItself, "second time"), (HidesMissing, "lengths must be 0"), (RemarksInNumbers, "None nor words")],
)
def test_broken_modalities_are_caught(part, words):
    with pytest.raises(AssertionError, match=words):
        check_modality(part, cells=["red", "green", "blue"])
