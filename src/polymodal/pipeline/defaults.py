"""What a user who says nothing gets: `TABLE`, by the number of training rows, and how it completes a configuration.

Everywhere: fusion `concat`, AdamW at 0.002 with weight decay 0.05 (the other optimizers: see `OWN_LR` and `L2_PENALTY`)
and a cosine schedule with warm-up, auxiliary losses of weight 1, modality dropout 0.3, early stopping when the metric
that the task watches has not gained for half of the epochs, then a refit on train and validation rows. A task may
advise otherwise: tagging does (`advice`). Widths and the rest are declared beside each part; picture size,
sample rate and clip length are suggested by the modality from some cells. The user's settings go before what an encoder
needs, and that before what a modality suggests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from polymodal import registry
from polymodal.abilities import Spanning
from polymodal.config import sharing
from polymodal.config.preset_names import BEST, DEFAULT, FAST
from polymodal.config.run_config import ColumnConfig, Part, RunConfig, completed, part_settings, plain
from polymodal.config.train import Member, TrainConfig
from polymodal.errors import ConfigError
from polymodal.models.stage import stage_of
from polymodal.pipeline.preset_encoders import PresetEncoders
from polymodal.protocols import Advice, Modality, Needs, Task
from polymodal.schema import Column, Input

Settings = dict[str, Any]


@dataclass(frozen=True)
class Default:
    """One line of the table: for fewer training rows than `rows`."""

    rows: int | float
    epochs: int
    batch_size: int
    encoders: Mapping[str, str]


_SMALL = {"text": "bag", "image": "cnn", "audio": "cnn", "video": "frames", "images": "per_image", "table": "mlp"}
_LARGE = {"text": "rnn", "image": "resnet", "audio": "cnn", "video": "frames", "images": "per_image", "table": "mlp"}
TABLE = (
    Default(rows=500, epochs=40, batch_size=16, encoders=_SMALL),
    Default(rows=5_000, epochs=16, batch_size=32, encoders=_SMALL),
    Default(rows=20_000, epochs=12, batch_size=64, encoders=_SMALL),
    Default(rows=100_000, epochs=10, batch_size=64, encoders=_LARGE),
    Default(rows=float("inf"), epochs=4, batch_size=128, encoders=_LARGE),
)
FUSION = "concat"
FUSION_IN_TIME = Part(name="cross_attention", pool="none")  # of tasks whose output lies along the time of an input
_SPEC_AUGMENT = {"name": "log_mel", "band_masks": 1, "time_masks": 2}  # Park et al. 2019
ENCODERS_IN_TIME = {  # one token a cell will not do there
    "audio": Part(name="rnn", cell="lstm", width=192, features=_SPEC_AUGMENT),
    "video": Part(name="frames"),
}
FUSION_OF_TOKENS = Part(name="attention", pool="none")  # of tasks that read all tokens of all inputs
ENCODERS_OF_TOKENS = {
    **ENCODERS_IN_TIME,
    "text": Part(name="rnn"),
    "image": Part(name="cnn", spatial_tokens=True),
}
PRETRAINED_OF_TOKENS: Mapping[str, Settings] = {"timm": {"grid": 3}}  # of the preset's encoders, for such tasks
LR = 2e-3
OWN_LR = {"sgd": 0.05, "adadelta": 1.0}  # adadelta's is a factor on a step of its own choice: at 0.002 nothing moves
WEIGHT_DECAY = 0.05  # of adamw, which takes it times the learning rate
L2_PENALTY = 1e-3  # weight decay of the others, which add it to the gradient: 0.05 would outweigh the loss there
MODALITY_DROPOUT = 0.3
MEMBERS: tuple[Member, ...] = ("unimodal", "linear", "gradient_boosting")
FAST_MEMBERS: tuple[Member, ...] = ("unimodal", "linear")  # with the preset `fast`
EPOCHS = {FAST: 0.25, DEFAULT: 1.0, BEST: 2.0}  # by preset, share of those of the table


def default(num_rows: int) -> Default:
    """The line of the table for so many training rows."""
    return next(line for line in TABLE if num_rows < line.rows)


def complete_train(
    config: TrainConfig, *, num_rows: int, monitor: str, advice: Advice | None = None, effort: str = DEFAULT
) -> TrainConfig:
    """Training settings with every None filled in, for a task that stops early on the metric `monitor`."""
    line, advice, fast = default(num_rows), advice or Advice(), effort == FAST
    epochs = config.epochs or max(2 if fast else 1, round(line.epochs * advice.epochs * EPOCHS[effort]))
    stopping, optimizer = config.early_stopping, config.optimizer
    auxiliary_loss = _or(config.auxiliary_loss, advice.auxiliary_loss)
    decay = WEIGHT_DECAY if optimizer.name == "adamw" else L2_PENALTY
    members = _members(config.ensemble.members, auxiliary_loss, FAST_MEMBERS if fast else MEMBERS)
    chosen = {
        "epochs": epochs,
        "batch_size": config.batch_size or line.batch_size,
        "modality_dropout": _or(config.modality_dropout, MODALITY_DROPOUT),
        "auxiliary_loss": auxiliary_loss,
        "ensemble": config.ensemble.model_copy(update={"members": members}),
        "final": config.final or ("best" if fast else "refit"),
        "optimizer": optimizer.model_copy(
            update={
                "lr": _or(optimizer.lr, OWN_LR.get(optimizer.name, LR) * advice.lr),
                "weight_decay": _or(optimizer.weight_decay, decay),
            }
        ),
        "early_stopping": stopping.model_copy(
            update={"metric": stopping.metric or monitor, "patience": stopping.patience or max(5, epochs // 2)}
        ),
    }
    return config.model_copy(update=chosen)


def _members(
    chosen: tuple[Member, ...] | None, auxiliary_loss: float | None, usual: tuple[Member, ...]
) -> tuple[Member, ...]:
    """The members of the ensemble; unimodal heads learn by the auxiliary loss."""
    if chosen is not None:
        return chosen
    return usual if auxiliary_loss else tuple(member for member in usual if member != "unimodal")


def complete_inputs(
    columns: Sequence[Column],
    config: RunConfig,
    task: Task,
    *,
    num_rows: int,
    suggested: Mapping[str, Settings],
    given: Collection[str] = (),
    preset: PresetEncoders | None = None,
) -> tuple[tuple[Column, ...], tuple[Input, ...]]:
    """The columns with complete settings, and the inputs that they form.

    The task says which columns enter which side, and what encoders must keep. `suggested` is what the modality of each
    column suggests from a sample of the cells; `given` names columns that a trained model has read before: they are
    complete. `preset` holds the encoders of the preset, and learns which of them are missing.

    Raises:
        ConfigError: an unknown encoder or setting; an encoder for a single column that enters with others; columns
            that cannot share an encoder.
    """
    inputs, needs = [], task.needs()
    preset = preset or PresetEncoders(config)
    together = sharing.groups(columns, config, allowed=stage_of(config).shares_encoders)
    suggested = sharing.suggestions(suggested, together)
    by_name = {column.name: column for column in columns}
    for side, name, modality, members in _groups(columns, task):
        usual = _usual(needs, modality, num_rows)
        part = _encoder(name, modality, members, config, usual=usual, preset=preset, keeps_tokens=needs.tokens)
        encoder = registry.load(f"encoders/{modality}", part.name or "")
        settings = part_settings(f"encoders/{modality}", part)
        if needs.time and needs.token_seconds is not None and issubclass(encoder, Spanning):
            settings = encoder.spanning(settings, needs.token_seconds)
        names = tuple(sorted(column.name for column in members))
        inputs.append(
            Input(
                name=name,
                columns=names,
                modality=modality,
                encoder=part.name or "",
                settings=plain(settings),
                side=side,
            )
        )
        for column in members:
            if column.name not in given:
                features: Settings | None = {} if getattr(encoder, "takes_features", False) else None
                chosen = {**suggested.get(column.name, {}), **encoder.needs(settings), **column.settings}
                complete = completed("modalities", Part(name=column.modality, **chosen)).settings
                by_name[column.name] = column.model_copy(update={"settings": complete, "features": features})
    ordered = tuple(by_name[column.name] for column in columns)
    inputs = sharing.joined(inputs, ordered, together)
    return ordered, tuple(sorted(inputs, key=lambda model_input: model_input.name))


def _groups(columns: Iterable[Column], task: Task) -> list[tuple[str, str, str, list[Column]]]:
    """Side, name, encoder folder and columns of every input; columns of a grouped modality enter together, on each
    side.
    """
    entering = {column.name: column for column in columns if column.modality is not None}
    found: list[tuple[str, str, str, list[Column]]] = []
    grouped: dict[tuple[str, str], list[Column]] = {}
    for side, names in task.sides(list(entering)).items():
        for column in (column for name, column in entering.items() if name in names):
            group = group_of(column)
            if group is None:
                found.append((side, column.name, column.modality or "", [column]))
            else:
                grouped.setdefault((side, group), []).append(column)
    taken = {name for _, name, _, _ in found}
    for (side, group), members in grouped.items():
        numbered = (f"{group}_{number}" for number in range(2, len(taken) + 3))
        name = next(word for word in (group, *numbered) if word not in taken)  # a column may have the group's name
        taken.add(name)
        found.append((side, name, group, members))
    return found


def with_anchor(config: RunConfig, task: Task, inputs: Sequence[Input]) -> RunConfig:
    """The configuration with an anchor for the fusion, where the task needs time and the user names none.

    Raises:
        ConfigError: no input has time, or several have.
    """
    if not task.needs().time or "anchor" not in config.fusion.settings or config.fusion.settings["anchor"] is not None:
        return config
    timed = [model_input.name for model_input in inputs if model_input.modality in ENCODERS_IN_TIME]
    if len(timed) != 1:
        needs = f"The task {config.task.name!r} needs an input with time, such as a recording"
        if timed:
            raise ConfigError(f"{needs}, and {', '.join(timed)} are several. Name one with --set fusion.anchor=NAME.")
        raise ConfigError(
            f"{needs}. None of the columns is one ({', '.join(name for i in inputs for name in i.columns)})."
        )
    anchored = Part(name=config.fusion.name, **{**config.fusion.settings, "anchor": timed[0]})
    return config.model_copy(update={"fusion": anchored})


def group_of(column: Column) -> str | None:
    """The input that a column enters with others; None where it is one by itself, or does not enter."""
    if column.modality is None:
        return None
    cls: type[Modality] = registry.load("modalities", column.modality)
    return cls.group


def _encoder(
    name: str,
    modality: str,
    members: Sequence[Column],
    config: RunConfig,
    *,
    usual: Part,
    preset: PresetEncoders,
    keeps_tokens: bool,
) -> Part:
    """What the user said of the column, else of the modality; else stage, preset, table; else the first."""
    said = {column.name: config.columns.get(column.name, ColumnConfig()).encoder for column in members}
    together = group_of(members[0]) is not None
    for column, part in said.items():
        if together and (part.name or part.settings):
            raise ConfigError(
                f"columns.{column}.encoder: this column enters together with others, as the input {name!r}; "
                f"set encoders.{modality} instead."
            )
    by_column = Part() if together else said[name]
    by_modality = config.encoders.get(modality, Part())
    first = next(iter(registry.names(f"encoders/{modality}")), None)
    suited = stage_of(config).encoder(name, modality)
    named = by_column.name or by_modality.name or suited
    needed = bool(by_column.settings or by_modality.settings)
    pretrained = None if named else preset.part(modality, needed=needed)
    pretrained = pretrained or Part()
    chosen = named or pretrained.name or usual.name or first
    if chosen is None:
        raise ConfigError(f"Column {name!r} is {modality}, and no encoder for {modality} is installed.")
    inherited = by_modality.settings if by_modality.name in (None, chosen) else {}
    suiting = usual.settings if chosen == usual.name else {}
    if keeps_tokens and pretrained.name == chosen:
        suiting = PRETRAINED_OF_TOKENS.get(chosen, {})
    return Part(name=chosen, **{**suiting, **pretrained.settings, **inherited, **by_column.settings})


def _usual(needs: Needs, modality: str, num_rows: int) -> Part:
    """The encoder of the table of defaults, or the one that keeps what the task needs."""
    table = Part(name=default(num_rows).encoders.get(modality))
    if needs.tokens:
        return ENCODERS_OF_TOKENS.get(modality, table)
    return ENCODERS_IN_TIME.get(modality, Part()) if needs.time else table


def fusion_of(needs: Needs) -> Part:
    """The fusion that keeps what the task needs, where the user names none."""
    return FUSION_OF_TOKENS if needs.tokens else FUSION_IN_TIME if needs.time else Part(name=FUSION)


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
