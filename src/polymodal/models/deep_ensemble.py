"""Several networks of one kind as a single one: their tokens side by side, their predictions averaged."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polymodal.calibration.temperature import Temperature
from polymodal.layers.opinion_pool import linear_pool
from polymodal.layers.scores_head import ScoresHead
from polymodal.models.ensemble import Ensemble
from polymodal.models.model import Model, Tower
from polymodal.protocols import Encoder, Fusion
from polymodal.types import Cells, Meaning, Tokens


class EncoderEnsemble(nn.Module):
    """Cells of one input -> the tokens of several encoders, joined along D.

    Args:
        members: encoders of one class with the same settings: their masks are alike.
    """

    Config: ClassVar[type] = type(None)  # assembled, not built from settings
    frozen: ClassVar[bool] = False

    def __init__(self, members: Sequence[Encoder]) -> None:
        super().__init__()
        modules: Sequence[Any] = members
        self.members = nn.ModuleList(modules)
        first = members[0]
        self.token_span, self.keeps_time = first.token_span, first.keeps_time
        self.width = sum(member.width for member in members)

    @classmethod
    def needs(cls, config: Any) -> dict[str, Any]:
        return {}

    @property
    def portable(self) -> dict[str, Any]:
        """Settings of each of the encoders."""
        first: Any = self.members[0]
        settings: dict[str, Any] = first.portable
        return settings

    def forward(self, *cells: Cells) -> Tokens:
        return _joined([member(*cells) for member in self.members])


class FusionEnsemble(nn.Module):
    """Tokens by input -> what several fusions make of them, joined along D.

    Args:
        members: each takes its own part of the tokens.
        shared: inputs whose tokens all of them take whole.
    """

    Config: ClassVar[type] = type(None)  # assembled, not built from settings

    def __init__(self, members: Sequence[Fusion], *, shared: Collection[str]) -> None:
        super().__init__()
        modules: Sequence[Any] = members
        self.members = nn.ModuleList(modules)
        self.shared = frozenset(shared)
        self.keeps_time = members[0].keeps_time
        self.width = sum(member.width for member in members)

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        count = len(self.members)
        parts = {name: [one] * count if name in self.shared else _split(one, count) for name, one in tokens.items()}
        return _joined([fusion({n: parts[n][i] for n in parts}) for i, fusion in enumerate(self.members)])


class ReadoutEnsemble(nn.Module):
    """Tokens "B T D" -> the scores "B K" of the mean of what several readouts predict from them.

    Probabilities are averaged, not their logarithms: networks of one kind are a mixture (Lakshminarayanan, Pritzel &
    Blundell 2017, section 2.4).

    Args:
        members: each takes its own part of the tokens.
        shared: all of them take the tokens whole.
        meaning: of the scores.

    Attributes:
        weights: of the members, adding up to one: even, but for networks that were never trained.
    """

    weights: Tensor

    def __init__(self, members: Sequence[nn.Module], *, shared: bool, meaning: Meaning) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.shared, self.meaning = shared, meaning
        self.register_buffer("weights", torch.full((len(members),), 1 / len(members)))

    def forward(self, tokens: Tokens) -> Float[Tensor, "B K"]:
        count = len(self.members)
        parts = [tokens] * count if self.shared else _split(tokens, count)
        scores = torch.stack([readout(part) for readout, part in zip(self.members, parts, strict=True)])
        return linear_pool(scores, self.weights, self.meaning)


def as_one(networks: Sequence[Ensemble]) -> Ensemble:
    """A network that predicts the mean of several; it holds their very modules, and the other members of the first.

    An encoder that all of them have in common is held, and asked, once.
    """
    first, wide = networks[0], dict[int, Any]()
    shared = {n for n, encoder in first.encoders.items() if all(other.encoders[n] is encoder for other in networks)}
    for name, encoder in first.encoders.items():
        if id(encoder) not in wide:
            members = [network.encoders[name] for network in networks]
            wide[id(encoder)] = encoder if name in shared else EncoderEnsemble(members)
    towers = {
        side: Tower(
            {name: wide[id(encoder)] for name, encoder in tower.encoders.items()},
            tower.columns,
            FusionEnsemble([network.model.towers[side].fusion for network in networks], shared=shared),
        )
        for side, tower in first.model.towers.items()
    }

    def averaged(heads: Sequence[ScoresHead], *, whole: bool) -> ScoresHead:
        readouts = [head.readout for head in heads]
        return heads[0].with_readout(ReadoutEnsemble(readouts, shared=whole, meaning=first.meaning))

    return Ensemble(
        Model(towers, averaged([network.head for network in networks], whole=False)),
        {name: averaged([network.heads[name] for network in networks], whole=name in shared) for name in first.heads},
        first.features,
        pools_heads=first.pools_heads,
        meaning=first.meaning,
        calibrator=Temperature(),
    )


def networks_of(network: Ensemble) -> list[Ensemble]:
    """The networks of which `as_one` made one, without other members; to train one of them trains its part."""
    model = network.model

    def alone(place: int) -> Ensemble:
        towers = {
            side: Tower(
                {name: _member(encoder, place) for name, encoder in tower.encoders.items()},
                tower.columns,
                _member(tower.fusion, place),
            )
            for side, tower in model.towers.items()
        }
        heads = {name: head.with_readout(_member(head.readout, place)) for name, head in network.heads.items()}
        head = network.head.with_readout(_member(network.head.readout, place))
        return Ensemble(
            Model(towers, head), heads, pools_heads=False, meaning=network.meaning, calibrator=Temperature()
        )

    return [alone(place) for place in range(len(_readouts(network)[0].members))]


def set_trained(network: Ensemble, trained: Sequence[bool]) -> None:
    """Leaves those of its networks out of the mean that have learned nothing; with none that has, all stay."""
    learned = torch.tensor(trained, dtype=torch.float32)
    if bool(learned.any()):
        for readout in _readouts(network):
            readout.weights.copy_(learned / learned.sum())


def members_of(encoder: Encoder) -> list[Encoder]:
    """The encoders of which one is made; one by itself is the only one."""
    members: Any = encoder.members if isinstance(encoder, EncoderEnsemble) else [encoder]
    return list(members)


def _readouts(network: Ensemble) -> list[ReadoutEnsemble]:
    readouts = [head.readout for head in (network.head, *network.heads.values())]
    return [readout for readout in readouts if isinstance(readout, ReadoutEnsemble)]


def _member(module: Any, place: int) -> Any:
    """One of several; what all share is itself."""
    return module.members[place] if isinstance(module, EncoderEnsemble | FusionEnsemble | ReadoutEnsemble) else module


def _joined(parts: Sequence[Tokens]) -> Tokens:
    return Tokens(torch.cat([part.values for part in parts], dim=-1), parts[0].mask)


def _split(tokens: Tokens, count: int) -> list[Tokens]:
    """What `_joined` made of tokens of one width each."""
    return [Tokens(values, tokens.mask) for values in tokens.values.chunk(count, dim=-1)]
