"""Whose word counts: the user's, then the encoder's, then the modality's suggestion, then what is declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from pydantic import ConfigDict

from polymodal import registry
from polymodal.config.run_config import make, plain
from polymodal.errors import ConfigError
from polymodal.modalities.image import ImageConfig
from polymodal.pipeline import defaults
from polymodal.pipeline.defaults import complete_inputs, complete_train, default
from polymodal.protocols import Advice
from polymodal.schema import Column
from polymodal.tasks.classify import Classify, ClassifyConfig


@dataclass(frozen=True)
class PickyConfig:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    side: int = 40
    width: int = 8


class Picky:
    """An encoder that takes pictures of its own size only."""

    Config: ClassVar[type] = PickyConfig

    @classmethod
    def needs(cls, config: PickyConfig) -> dict[str, Any]:
        return {"size": config.side, "fit": "crop"}


@pytest.fixture
def picky(monkeypatch):
    """Makes `picky` an image encoder."""
    names, load = registry.names, registry.load
    monkeypatch.setattr(
        registry, "names", lambda kind: (*names(kind), "picky") if kind == "encoders/image" else names(kind)
    )
    monkeypatch.setattr(registry, "load", lambda kind, name: Picky if name == "picky" else load(kind, name))


def column(name: str, modality: str | None, **settings: Any) -> Column:
    return Column(name=name, kind=modality or "identifier", modality=modality, reason="", settings=settings)


def complete(*columns: Column, suggested: dict[str, dict[str, Any]] | None = None, num_rows: int = 100, **config: Any):
    task = Classify(ClassifyConfig())
    done, inputs = complete_inputs(columns, make(config), task, num_rows=num_rows, suggested=suggested or {})
    return {c.name: c for c in done}, {i.name: i for i in inputs}


# --- columns ---------------------------------------------------------------------------------------------------------


def test_user_before_encoder_before_suggestion_before_declaration(picky):
    photo = column("photo", "image", rotate=1.0)
    suggested = {"photo": {"size": 80, "rotate": 2.0, "max_pixels": 999}}
    columns, inputs = complete(photo, suggested=suggested, columns={"photo": {"encoder": "picky"}})
    assert columns["photo"].settings == plain(ImageConfig(size=40, fit="crop", rotate=1.0, max_pixels=999))
    assert inputs["photo"].settings == {"side": 40, "width": 8}
    columns, _ = complete(column("photo", "image", size=16), suggested=suggested, encoders={"image": "picky"})
    assert (columns["photo"].settings["size"], columns["photo"].settings["fit"]) == (16, "crop")
    columns, _ = complete(photo, suggested=suggested, encoders={"image": {"name": "picky", "side": 24}})
    assert columns["photo"].settings["size"] == 24
    columns, _ = complete(photo, suggested=suggested)
    assert columns["photo"].settings == plain(ImageConfig(size=80, rotate=1.0, max_pixels=999))


def test_columns_keep_their_order_and_those_left_out_stay_as_they_are():
    left = column("id", None)
    columns, inputs = complete(column("z", "text"), left, column("a", "text"), suggested={"id": {"size": 1}})
    assert list(columns) == ["z", "id", "a"]
    assert columns["id"] == left
    assert list(inputs) == ["a", "z"]


# --- encoders --------------------------------------------------------------------------------------------------------


def test_what_is_said_of_the_column_goes_before_what_is_said_of_the_modality():
    photos = [column(name, "image") for name in ("a", "b", "c", "d")]
    _, inputs = complete(
        *photos,
        encoders={"image": {"name": "resnet", "width": 32, "depth": 34}},
        columns={"b": {"encoder": {"width": 16}}, "c": {"encoder": "cnn"}, "d": {"encoder": "resnet"}},
    )
    chosen = {name: (i.encoder, i.settings["width"], i.settings.get("depth")) for name, i in inputs.items()}
    assert chosen == {
        "a": ("resnet", 32, 34),
        "b": ("resnet", 16, 34),
        "c": ("cnn", 128, None),
        "d": ("resnet", 32, 34),
    }


def test_settings_without_a_name_go_to_the_default_encoder():
    _, inputs = complete(column("a", "image"), encoders={"image": {"width": 24}})
    assert (inputs["a"].encoder, inputs["a"].settings["width"]) == ("cnn", 24)


@pytest.mark.parametrize(
    ("num_rows", "image", "text"), [(499, "cnn", "bag"), (19_999, "cnn", "bag"), (20_000, "resnet", "rnn")]
)
def test_the_number_of_rows_chooses(num_rows, image, text):
    _, inputs = complete(column("p", "image"), column("t", "text"), column("n", "number"), num_rows=num_rows)
    assert {name: i.encoder for name, i in inputs.items()} == {"p": image, "t": text, "table": "mlp"}


def test_every_encoder_of_the_table_exists():
    for line in defaults.TABLE:
        for modality, encoder in line.encoders.items():
            assert encoder in registry.names(f"encoders/{modality}")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"columns": {"a": {"encoder": "cn"}}}, r"Did you mean 'cnn'"),
        ({"columns": {"a": {"encoder": {"widht": 3}}}}, r"widht.*Did you mean 'width'"),
        ({"encoders": {"image": {"name": "cnn", "depth": 18}}}, "unknown key.*depth"),
    ],
)
def test_unknown_words_are_errors(config, message):
    with pytest.raises(ConfigError, match=message):
        complete(column("a", "image"), **config)


def test_a_modality_without_an_encoder_is_an_error(monkeypatch):
    names = registry.names
    monkeypatch.setattr(registry, "names", lambda kind: () if kind == "encoders/text" else names(kind))
    monkeypatch.setattr(defaults, "TABLE", (defaults.Default(float("inf"), 1, 1, {}),))
    with pytest.raises(ConfigError, match="'t' is text, and no encoder for text is installed"):
        complete(column("t", "text"))


# --- columns that enter together -------------------------------------------------------------------------------------


def test_numbers_and_categories_enter_together_in_the_order_of_their_names():
    _, inputs = complete(column("size", "number"), column("t", "text"), column("colour", "category"))
    assert {name: i.columns for name, i in inputs.items()} == {"t": ("t",), "table": ("colour", "size")}
    assert (inputs["table"].modality, inputs["table"].encoder) == ("table", "mlp")


def test_a_column_of_the_groups_name_keeps_it():
    columns = [column("table", "text"), column("table_2", "image"), column("size", "number")]
    _, inputs = complete(*columns, encoders={"table": {"width": 5}})
    assert {name: (i.columns, i.modality) for name, i in inputs.items()} == {
        "table": (("table",), "text"),
        "table_2": (("table_2",), "image"),
        "table_3": (("size",), "table"),
    }
    assert inputs["table_3"].settings["width"] == 5


def test_a_number_called_table_is_a_member_like_others():
    _, inputs = complete(column("table", "number"), column("size", "number"))
    assert {name: i.columns for name, i in inputs.items()} == {"table": ("size", "table")}


@pytest.mark.parametrize("encoder", ["mlp", {"width": 3}])
def test_a_column_that_enters_with_others_has_no_encoder_of_its_own(encoder):
    with pytest.raises(ConfigError, match=r"columns\.size\.encoder: .*'table'; set encoders\.table instead"):
        complete(column("size", "number"), column("age", "number"), columns={"size": {"encoder": encoder}})


# --- training --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", range(len(defaults.TABLE)))
def test_training_takes_the_line_of_its_rows(line):
    rows = [0, *(entry.rows for entry in defaults.TABLE)]
    expected = defaults.TABLE[line]
    num_rows = int(rows[line])
    train = complete_train(make({}).train, num_rows=num_rows, monitor="rmse")
    assert default(num_rows) is expected
    assert (train.epochs, train.batch_size) == (expected.epochs, expected.batch_size)
    assert (train.optimizer.lr, train.optimizer.weight_decay) == (defaults.LR, defaults.WEIGHT_DECAY)
    assert (train.modality_dropout, train.auxiliary_loss) == (defaults.MODALITY_DROPOUT, 1)
    assert train.ensemble.members == ("unimodal", "linear", "gradient_boosting")
    assert train.early_stopping.metric == "rmse"
    assert 5 <= train.early_stopping.patience <= max(5, train.epochs)


@pytest.mark.parametrize(
    ("name", "lr", "decay"), [("adam", 2e-3, 1e-3), ("rmsprop", 2e-3, 1e-3), ("sgd", 0.05, 1e-3), ("adadelta", 1, 1e-3)]
)
def test_each_optimizer_has_a_rate_and_a_decay_at_which_it_learns(name, lr, decay):
    optimizer = complete_train(
        make({"train": {"optimizer": {"name": name}}}).train, num_rows=100, monitor="r2"
    ).optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (lr, decay)


def test_a_task_may_advise_otherwise_and_the_user_goes_first():
    advice = Advice(epochs=1.5, lr=2.0, auxiliary_loss=4.0)
    train = complete_train(make({}).train, num_rows=1_000, monitor="r2", advice=advice)
    assert (train.epochs, train.optimizer.lr) == (round(1.5 * default(1_000).epochs), 2 * defaults.LR)
    assert train.auxiliary_loss == 4.0
    said = make({"train": {"epochs": 3, "auxiliary_loss": 0.5, "optimizer": {"lr": 0.1}}}).train
    train = complete_train(said, num_rows=1_000, monitor="r2", advice=advice)
    assert (train.epochs, train.optimizer.lr, train.auxiliary_loss) == (3, 0.1, 0.5)


@pytest.mark.parametrize(
    ("said", "members"),
    [
        ({}, ("unimodal", "linear", "gradient_boosting")),
        ({"auxiliary_loss": 0}, ("linear", "gradient_boosting")),  # nothing teaches the heads
        ({"ensemble": []}, ()),
        ({"ensemble": ["linear"]}, ("linear",)),
    ],
)
def test_all_members_are_in_the_ensemble_that_can_learn_unless_the_user_names_some(said, members):
    train = complete_train(make({"train": said}).train, num_rows=9, monitor="r2")
    assert train.ensemble.members == members
    assert make({"train": train.model_dump()}).train == train


def test_nothing_that_the_user_said_of_training_changes():
    said = {
        "epochs": 3, "batch_size": 7, "modality_dropout": 0.0, "auxiliary_loss": 0.0, "ensemble": ["linear"],
        "clip_norm": None, "final": "best",
        "optimizer": {"name": "sgd", "lr": 0.5, "weight_decay": 0.0},
        "early_stopping": {"metric": "auc", "patience": 2},
    }  # fmt: skip
    train = make({"train": said}).train
    assert complete_train(train, num_rows=100, monitor="rmse") == train
    again = complete_train(complete_train(make({}).train, num_rows=100, monitor="r2"), num_rows=10**6, monitor="rmse")
    assert again == complete_train(make({}).train, num_rows=100, monitor="r2")
