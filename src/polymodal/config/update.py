"""How a trained model goes on learning: the node `update` of a configuration."""

from __future__ import annotations

from pydantic import Field

from polymodal.config.node import Settings


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
