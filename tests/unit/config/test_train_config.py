import pytest

from polymodal.config import run_config as config
from polymodal.config.train import BalanceConfig, EnsembleConfig, TrainConfig
from polymodal.errors import ConfigError


def test_nothing_of_it_acts_unless_it_is_asked_for():
    train = TrainConfig()
    assert (train.balance.name, train.mixup.alpha, train.ema, train.max_norm, train.orthogonality) == (
        "none", 0, None, None, 0,
    )  # fmt: skip
    assert (train.auxiliary_blend, train.modality_dropout_schedule.name) == ("mean", "constant")


def test_a_balance_may_be_named_alone_and_then_refined():
    made = config.make({"train": {"balance": "ogm_ge"}})
    assert made.train.balance == BalanceConfig(name="ogm_ge")
    refined = config.override(made, ["train.balance.alpha=0.5"])
    assert refined.train.balance == BalanceConfig(name="ogm_ge", alpha=0.5)


@pytest.mark.parametrize("members", [[], ["linear"], ["unimodal", "gradient_boosting"]])
def test_the_members_of_an_ensemble_may_be_listed_alone(members):
    made = config.make({"train": {"ensemble": members}})
    assert made.train.ensemble == EnsembleConfig(members=tuple(members))
    said = config.override(config.make({}), [f"train.ensemble=[{', '.join(members)}]"])
    assert said.train == made.train


@pytest.mark.parametrize(
    ("train", "words"),
    [
        ({"balance": "ogm"}, "train.balance.name: Input should be 'none' or 'ogm_ge'"),
        ({"balance": {"name": "ogm_ge", "start": 4, "end": 3}}, "end is an epoch before start"),
        ({"balance": {"alhpa": 1}}, "'train.balance.alhpa'. Did you mean 'alpha'?"),
        ({"mixup": 0.2}, "train.mixup: Input should be settings such as {name: value} (got 0.2)"),
        ({"mixup": {"where": "cells"}}, "train.mixup.where: Input should be 'inputs' or 'tokens'"),
        ({"ema": 1.0}, "train.ema: Input should be less than 1"),
        ({"modality_dropout_schedule": {"until": 0}}, "train.modality_dropout_schedule.until"),
        ({"auxiliary_blend": "learned", "auxiliary_loss": 0}, "auxiliary_loss=0 takes away"),
        ({"ensemble": ["unimodal"], "auxiliary_loss": 0}, "unimodal heads learn nothing with auxiliary_loss=0"),
        ({"ensemble": ["trees"]}, "train.ensemble.members"),
    ],
)
def test_what_makes_no_sense_is_said(train, words):
    with pytest.raises(ConfigError) as caught:
        config.make({"train": train})
    assert words in str(caught.value)
