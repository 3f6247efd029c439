"""How a model learns, and goes on learning: the nodes `train`, `update` and `warm_start` of a configuration."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from polymodal.config.node import Settings, short_for

Member = Literal["unimodal", "linear", "gradient_boosting"]
"""What an ensemble may have beside the jointly trained model."""


class OptimizerConfig(Settings):
    """How the weights move; `lr` and `weight_decay` of None come from the table of defaults.

    Attributes:
        name: of the algorithm.
        lr: learning rate at its highest.
        weight_decay: on matrices and convolution kernels only.
        momentum: of `sgd`; the others do not use it.
    """

    name: Literal["sgd", "adam", "adamw", "adadelta", "rmsprop"] = "adamw"
    lr: float | None = Field(None, gt=0)
    weight_decay: float | None = Field(None, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)


class ScheduleConfig(Settings):
    """How the learning rate moves.

    Attributes:
        name: `cosine` and `linear` fall to zero at the last step.
        warmup: the share of all steps in which the rate rises from zero.
    """

    name: Literal["constant", "cosine", "linear"] = "cosine"
    warmup: float = Field(0.05, ge=0, lt=1)


class EarlyStoppingConfig(Settings):
    """When training ends before its last epoch.

    Attributes:
        metric: what is watched on the validation rows; None: the task's choice, `log_loss` or `rmse`. Of equal epochs
            the later counts: its learning rate was lower.
        patience: so many epochs without gain end the training; None: half of `epochs`, at least 5.
    """

    metric: str | None = None
    patience: int | None = Field(None, ge=1)


class ModalityDropoutScheduleConfig(Settings):
    """How `modality_dropout` moves.

    Attributes:
        name: `linear` rises from zero in the first epoch: an input is learned before it is masked.
        until: the share of the epochs after which `linear` has reached `modality_dropout`.
    """

    name: Literal["constant", "linear"] = "constant"
    until: float = Field(0.5, gt=0, le=1)


class BalanceConfig(Settings):
    """How inputs that are learned faster wait for the others; `ogm_ge` is short for `{name: ogm_ge}`.

    Attributes:
        name: `ogm_ge` scales the gradients of the encoders of the stronger inputs down.
        alpha: how much: their gradients are multiplied by 1 - tanh(alpha * discrepancy).
        noise: add noise as large as each gradient's deviation, which is lost where gradients are scaled down.
        start: the first epoch in which it acts.
        end: the last one; None: the last of all.
    """

    name: Literal["none", "ogm_ge"] = "none"
    alpha: float = Field(0.3, gt=0)
    noise: bool = True
    start: int = Field(1, ge=1)
    end: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _in_order(self) -> BalanceConfig:
        if self.end is not None and self.end < self.start:
            raise ValueError("end is an epoch before start; give start <= end, or end=null for the last epoch")
        return self


class MixupConfig(Settings):
    """Learning from mixtures of two rows of a batch, whose losses are mixed alike.

    Attributes:
        alpha: the share of the first row is drawn from Beta(alpha, alpha), once a batch; 0: no mixtures.
        where: `tokens` mixes what the encoders make of the cells, of whatever kind; `inputs` mixes the cells
            themselves: pictures, sounds and numbers, but neither words nor categories.
    """

    alpha: float = Field(0.0, ge=0)
    where: Literal["inputs", "tokens"] = "tokens"


class EnsembleConfig(Settings):
    """What predicts beside the jointly trained model; rows that none of them learned from weigh them all.

    Attributes:
        members: `unimodal`: a head on the tokens of each input; `linear`: a linear model of the handcrafted features of
            each input, or where numbers are predicted, one of all inputs; `gradient_boosting`: trees on those of all
            inputs. An empty list: the model alone. None: all of them, but unimodal heads only with `auxiliary_loss`.
    """

    members: tuple[Member, ...] | None = None


class TrainConfig(Settings):
    """How the model learns.

    Attributes:
        epochs: at most so many passes over the training rows.
        batch_size: rows.
        optimizer: how the weights move.
        schedule: how the learning rate moves.
        clip_norm: a gradient of a larger norm is scaled down to it; None: never.
        accumulate: so many batches make one update.
        early_stopping: when training ends before its last epoch.
        final: `refit` trains once more, on train and validation rows together: from the best weights for a quarter of
            the epochs that were best; at the stages `late` and `fuse_then_train` anew for as many as were best;
            `best` keeps the weights of the best epoch. None: `refit`, or `best` with the preset `fast`.
        augment: vary the cells of training rows, as their modalities do.
        modality_dropout: probability with which an input of a row is masked while training.
        modality_dropout_schedule: how that probability moves.
        auxiliary_loss: weight of the loss of every input by itself, beside the loss of their fusion (0: none).
        auxiliary_blend: how the losses of the inputs become one: their `mean`, or with `learned` weights: an input
            whose loss stays high counts less.
        ensemble: what predicts beside the jointly trained model.
        balance: how inputs that are learned faster wait for the others.
        mixup: learning from mixtures of two rows.
        ema: decay, such as 0.99, of an average over the weights after every update; validation and the final model use
            the average. None: no average.
        max_norm: the weights that enter a unit of a linear, convolutional or recurrent layer are scaled down to this
            norm after every update; None: never.
        orthogonality: weight of a penalty that pulls the rows of weight matrices towards being orthonormal (0: none).
        train_metric: measure the watched metric on the training rows of every epoch, too, as they were learned: with
            dropout and augmentation.
        precision: of the forward pass; `auto` is bfloat16 on CUDA devices that have it, else float32.
    """

    epochs: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1)
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    clip_norm: float | None = Field(1.0, gt=0)
    accumulate: int = Field(1, ge=1)
    early_stopping: EarlyStoppingConfig = EarlyStoppingConfig()
    final: Literal["refit", "best"] | None = None
    augment: bool = True
    modality_dropout: float | None = Field(None, ge=0, lt=1)
    modality_dropout_schedule: ModalityDropoutScheduleConfig = ModalityDropoutScheduleConfig()
    auxiliary_loss: float | None = Field(None, ge=0)
    auxiliary_blend: Literal["mean", "learned"] = "mean"
    ensemble: Annotated[EnsembleConfig, short_for("members")] = EnsembleConfig()
    balance: Annotated[BalanceConfig, short_for("name")] = BalanceConfig()
    mixup: MixupConfig = MixupConfig()
    ema: float | None = Field(None, gt=0, lt=1)
    max_norm: float | None = Field(None, gt=0)
    orthogonality: float = Field(0.0, ge=0)
    train_metric: bool = True
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"

    @model_validator(mode="after")
    def _has_inputs_that_learn_by_themselves(self) -> TrainConfig:
        if self.auxiliary_blend == "learned" and self.auxiliary_loss == 0:
            raise ValueError("auxiliary_blend=learned blends losses that auxiliary_loss=0 takes away; set one of them")
        if "unimodal" in (self.ensemble.members or ()) and self.auxiliary_loss == 0:
            raise ValueError("ensemble.members: unimodal heads learn nothing with auxiliary_loss=0; set one of them")
        return self


class UpdateConfig(Settings):
    """How a trained model learns from new rows.

    Attributes:
        epochs: passes over the new rows.
        lr: learning rate at its highest; None: a fifth of that of the training.
        anchor: share of the way back to the weights of before that they go after each step, where the learning rate
            is at its highest; elsewhere in proportion to it. Takes the place of `weight_decay`; 0: not at all.
        replay: so many old rows are learned from again for each new one, if there are as many.
        holdout: share of the new rows that is not learned from but measured on, where no column of the table says
            which; `partial_fit` learns from all.
        memory: rows that `partial_fit` keeps to learn from again.
    """

    epochs: int = Field(5, ge=1)
    lr: float | None = Field(None, gt=0)
    anchor: float = Field(0.02, ge=0, le=1)
    replay: float = Field(2.0, ge=0)
    holdout: float = Field(0.2, ge=0, lt=1)
    memory: int = Field(1000, ge=0)


class WarmStartConfig(Settings):
    """A trained model whose parts a run starts from, in place of random weights.

    Attributes:
        bundle: folder of the model; None: every part starts at random.
        columns: by column of the table, the name that it has in the bundle; others are there under their own.
        freeze: encoders that come from it learn no more: every cell is then encoded only once.
    """

    bundle: str | None = None
    columns: dict[str, str] = Field({})
    freeze: bool = False


WarmStartField = Annotated[WarmStartConfig, short_for("bundle")]
"""`warm_start: run/bundle` is short for `warm_start: {bundle: run/bundle}`."""
