"""Fixed features of every input are extracted and fused once; then any predictor is trained on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, PositiveInt
from scipy import sparse
from torch import Tensor, nn

from polymodal.abilities import Scoring
from polymodal.config.node import settings
from polymodal.config.run_config import RunConfig, part_settings
from polymodal.errors import ConfigError
from polymodal.layers.by_name import ByName
from polymodal.layers.mlp import MultiLayerPerceptron
from polymodal.layers.pooling import masked_mean
from polymodal.layers.scores_head import FirstToken, ScoresHead
from polymodal.models.model import Model
from polymodal.models.stage import FitResult, Fitter, Parts, Stage, scoring
from polymodal.protocols import Fusion, Task
from polymodal.stages._machines import Machine
from polymodal.stages._predictors import PredictorConfig, PredictorField, learn_machine, require_frozen
from polymodal.types import Tokens

_FREE = ("average", "concat", "max", "product", "sum")  # fusions with nothing to learn
_EXACT = 1_000  # features; of more, the components are found by random projections


@settings
class FuseThenTrainConfig:
    """Settings of `FuseThenTrain`.

    Attributes:
        predictor: what learns from the fused features: `logistic`, `ridge`, `svm`, `svm_rbf`, `gradient_boosting`, or
            `mlp`, with a hidden layer; None: `logistic`, of numbers `ridge`.
        components: principal components of each input's features, which make all inputs equally wide.
        hidden: width of the hidden layer of `mlp`.
        dropout: probability, of `mlp`.
    """

    predictor: PredictorField | None = None
    components: PositiveInt = 64
    hidden: PositiveInt = 128
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class FuseThenTrain(Stage):
    """Cells -> features -> principal components -> fusion without weights -> predictor: fusion of features.

    Features are simple ones (mean colours, counts of words, cepstral coefficients), or what a frozen encoder gives,
    where the user names one. `concat` keeps what each input says; the components of different inputs have nothing in
    common, so that `average`, `sum`, `max` and `product` of them mix what does not belong together. An absent input is
    treated as its fusion does; a row with none gets the prior.
    """

    Config: ClassVar[type] = FuseThenTrainConfig
    config: FuseThenTrainConfig
    fusion_settings: ClassVar[Mapping[str, Any]] = {"project": False}  # there are no weights that could project

    def encoder(self, name: str, modality: str) -> str | None:
        """Handcrafted features."""
        return "handcrafted"

    def check(self, config: RunConfig, task: Task, inputs: Sequence[str]) -> None:
        name, meaning = config.fusion.name or "", scoring("fuse_then_train", task).meaning
        if name not in _FREE:
            raise ConfigError(
                f"stage 'fuse_then_train' with fusion {name!r}: it has weights to learn, and here features are fused "
                f"before anything learns. Use {', '.join(_FREE)}, or stage intermediate."
            )
        if getattr(part_settings("fusions", config.fusion), "project", False):
            raise ConfigError(
                f"stage 'fuse_then_train' with fusion {name!r}: a projection would have to be learned. "
                "Set fusion.project to false."
            )
        if self.config.predictor is not None:
            self.config.predictor.check("stage.predictor", numbers=meaning == "numbers")

    def assemble(self, parts: Parts) -> Model:
        task = scoring("fuse_then_train", parts.task)
        for name, encoder in parts.encoders.items():
            require_frozen("stage 'fuse_then_train'", name, encoder)
        fused = parts.fusion(dict.fromkeys(parts.encoders, self.config.components))
        features = FusedFeatures(parts.widths, fused, components=self.config.components)
        predictor, (side,) = self._predictor(task), parts.sides
        if predictor.has_layers:
            layers = MultiLayerPerceptron(features.width, [self.config.hidden], dropout=self.config.dropout)
            top = WithTop(features, layers, width=layers.width)
            return Model({side: parts.tower(side, top)}, ScoresHead.of(task, layers.width))
        top = WithTop(features, predictor.machine(features.width, task), width=len(task.prior))
        return Model({side: parts.tower(side, top)}, ScoresHead(FirstToken(), task.criterion(), task.prior))

    def learn(
        self, fitter: Fitter, rows: np.ndarray, validation: np.ndarray, *, before: FitResult | None = None
    ) -> FitResult:
        network = fitter.build()
        assert isinstance(network, Model), "what this stage assembles"
        (tower,) = network.towers.values()
        fusion = tower.fusion
        assert isinstance(fusion, WithTop), "what this stage assembles"
        handcrafted = {name for name, encoder in network.encoders.items() if getattr(encoder, "takes_features", False)}
        fusion.features.fit(fitter.tokens(network, rows), handcrafted=handcrafted, seed=fitter.config.seed)
        if not isinstance(fusion.top, Machine):
            phase, epochs = ("train", None) if before is None else ("refit", before.histories["train"].best_epoch)
            history = fitter.fit(network, rows, validation if before is None else None, phase=phase, epochs=epochs)
            return FitResult(network, {phase: history})
        predictor = self._predictor(scoring("fuse_then_train", fitter.task))
        learn_machine(fitter, network, fusion.top, predictor, rows, key="", fusion=fusion.features)
        return FitResult(network.eval())

    def _predictor(self, task: Scoring) -> PredictorConfig:
        return self.config.predictor or PredictorConfig("ridge" if task.meaning == "numbers" else "logistic")


class FusedFeatures(nn.Module):
    """Each input's features, standardised and reduced to their principal components, fused without weights.

    Args:
        widths: of each input's features.
        fusion: takes inputs that are `components` wide.
        components: how many; where features or rows are fewer, zeros fill up.
    """

    def __init__(self, widths: Mapping[str, int], fusion: Fusion, *, components: int) -> None:
        super().__init__()
        self.reduce = ByName({name: _Components(width, components) for name, width in widths.items()})
        self.fusion = fusion
        for parameter in fusion.parameters():  # of concat, what stands for an absent input: zeros, the mean
            parameter.requires_grad_(False)
        self.width = fusion.width

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        return self.fusion({name: reduce(tokens[name]) for name, reduce in self.reduce.items()})

    def fit(self, tokens: Mapping[str, Tokens], *, handcrafted: set[str], seed: int) -> None:
        """Finds the components from the features of the training rows; `handcrafted` ones are standardised."""
        for name, reduce in self.reduce.items():
            model_input = tokens[name]
            features = masked_mean(model_input.values, model_input.mask)[model_input.present].double().numpy()
            if len(features):
                reduce.fit(features, scale=name not in handcrafted, seed=seed)


class _Components(nn.Module):
    """z = ((x - centre) / spread) V, so that the mean square of a training row is one."""

    centre: Tensor
    spread: Tensor
    directions: Tensor

    def __init__(self, width: int, components: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.register_buffer("directions", torch.zeros(width, components))

    def forward(self, tokens: Tokens) -> Tokens:
        pooled = masked_mean(tokens.values, tokens.mask)
        return Tokens.vector(((pooled - self.centre) / self.spread) @ self.directions, tokens.present)

    def fit(self, features: Float[np.ndarray, "N F"], *, scale: bool, seed: int) -> None:
        from sklearn.utils.extmath import randomized_svd

        centre, deviation = np.zeros(features.shape[1]), np.ones(features.shape[1])
        if (features != 0).mean() >= 0.1:  # counts of words are mostly zero, and stay so
            centre = features.mean(axis=0)
        if scale:
            found = features.std(axis=0)
            deviation = np.where(found <= 1e-6 * np.maximum(1.0, np.abs(centre)), 1.0, found)
        standardised = (features - centre) / deviation
        wanted = min(self.directions.shape[1], *standardised.shape)
        if standardised.shape[1] <= _EXACT:
            right = np.linalg.svd(standardised, full_matrices=False)[2][:wanted]
        else:
            few = sparse.csr_matrix(standardised) if not centre.any() else standardised
            right = randomized_svd(few, wanted, random_state=seed % 2**32)[2]
        size = np.sqrt(np.square(standardised @ right.T).sum(axis=1).mean()) or 1.0
        directions = np.zeros(self.directions.shape)
        directions[:, :wanted] = right.T / size
        self.centre.copy_(torch.as_tensor(centre))
        self.spread.copy_(torch.as_tensor(deviation))
        self.directions.copy_(torch.as_tensor(directions))


class WithTop(nn.Module):
    """Fused features with what learns from them on top: layers, or a machine, which already gives scores."""

    Config: ClassVar[type] = type(None)  # assembled, not built from settings
    keeps_time = False

    def __init__(self, features: FusedFeatures, top: MultiLayerPerceptron | Machine, *, width: int) -> None:
        super().__init__()
        self.features, self.top, self.width = features, top, width

    def forward(self, tokens: Mapping[str, Tokens]) -> Tokens:
        fused: Tokens = self.features(tokens)
        result = self.top({"": fused}).values if isinstance(self.top, Machine) else self.top(fused.values[:, 0])
        return Tokens.vector(result, fused.present)
