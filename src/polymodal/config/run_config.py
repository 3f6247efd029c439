"""The one description of a run: read, checked, overridden, written back.

Python, YAML and the command line all make the same `RunConfig`. `None` means: choose for me; the run writes back what
was chosen. Settings of a part (an encoder, a fusion, ...) are declared beside its class and checked against that.
"""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast, get_type_hints

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from polymodal import registry
from polymodal.config.bundle import BundleConfig
from polymodal.config.duration import DurationField
from polymodal.config.node import Settings, TargetField
from polymodal.config.paths import did_you_mean_path, join_path, split_assignment, split_path, with_quotes
from polymodal.config.preset_names import BEST, DEFAULT, FAST, SCRATCH, PresetField, check_presets
from polymodal.config.table import CleanConfig, TableConfig
from polymodal.config.train import TrainConfig, UpdateConfig, WarmStartConfig, WarmStartField
from polymodal.errors import ConfigError, did_you_mean
from polymodal.files import strict_yaml

_Settings = TypeVar("_Settings")


class Part(BaseModel):
    """A registered part and its settings: `{name: gated, width: 64}`, or just `gated`.

    A name of None leaves the choice to the defaults.
    """

    model_config = ConfigDict(frozen=True, extra="allow")
    name: str | None = None

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.model_extra or {})


def _part(value: object) -> object:
    """A part by its name alone; `hf:organisation/model` and `hf:/a/folder` are encoders with that checkpoint."""
    if not isinstance(value, str):
        return value
    name, colon, checkpoint = value.partition(":")
    local = checkpoint.startswith(("/", "./", "../", "~"))
    return {"name": name, "checkpoint": checkpoint if local else value} if colon else {"name": value}


PartField = Annotated[Part, BeforeValidator(_part)]


class ColumnConfig(Settings):
    """What the user says about one column; the rest is inferred.

    Attributes:
        modality: what reads the column, with its settings; one that only one modality has says which, without a name.
        encoder: what encodes it, with its settings; not for columns of the group `table`.
    """

    modality: PartField = Part()
    encoder: PartField = Part()


class SplitConfig(Settings):
    """How rows are divided into train, validation and test.

    Attributes:
        column: says `train`, `validation` (`val`, `dev`) or `test`; or 1 and 0, if its name is such as `is_test`;
            null: a run uses the only such column that it finds, after saying so, if nothing else is said of the split.
        method: `auto` is `stratified` for classes, else `random`; `group` keeps rows of one group on one side;
            `time` puts the newest rows into test.
        by: the group or time column.
        test: share of the rows that have a target.
        validation: share of the same rows; with a `column` that names no validation rows, of its train rows.
    """

    column: str | None = None
    method: Literal["auto", "random", "stratified", "group", "time"] = "auto"
    by: str | None = None
    test: float = Field(0.2, ge=0, lt=1)
    validation: float = Field(0.15, ge=0, lt=1)


class InputsConfig(Settings):
    """Which inputs the model has.

    Attributes:
        keep: `useful` leaves out the inputs that do not predict the target, by a permutation test on the training rows,
            and exact copies of another input; `all` none of them; a list of inputs: as `useful`, but these stay.
    """

    keep: Literal["useful", "all"] | tuple[str, ...] = "useful"


class LimitsConfig(Settings):
    """What a cell may cost, checked before anything is allocated.

    Attributes:
        pixels: of one picture.
        seconds: of one recording.
        bytes: of one file.
    """

    pixels: int = Field(50_000_000, ge=1)
    seconds: float = Field(600.0, gt=0)
    bytes: int = Field(200_000_000, ge=1)


class RunConfig(Settings):
    """One run, complete.

    Attributes:
        target: the column that is predicted, or a list of several: columns of numbers, which one model predicts.
        task: `classify`, `regress`, ...; a name of None is chosen from the target's values.
        columns: what the user says about single columns.
        modalities: settings for every column of a modality; `columns` takes precedence.
        encoders: encoder for every input of a modality (and of the group `table`); `columns` takes precedence.
        preset: one name, or a list of two. `scratch`: encoders learn from the first weight on; `pretrained`: those of
            text, images, audio and video start from small public checkpoints. `fast`: a quarter of the epochs, no
            gradient boosted trees; `default`; `best`: a deep ensemble, twice the epochs. Other settings go
            first.
        pretrained_folder: where `preset: pretrained` finds its checkpoints, each in a folder of its modality's name;
            null: in installed packages, or else at huggingface.co.
        share: lists of columns, each of which go through one encoder together; a modality's name stands for all of its
            columns. Their vocabulary and the like are then learned from all of them, too.
        drop: columns that are not used.
        inputs: which of those that are left the model has.
        table: how CSV, TSV and JSON lines are written, where they do not say so themselves.
        weight: a column of sample weights.
        split: how rows are divided into train, validation and test.
        bad_cells: what an unreadable cell becomes: a missing cell, a dropped row, or an error.
        clean: what is changed in the data before the model learns.
        limits: what a cell may cost.
        fusion: how the inputs are combined.
        stage: when they are: `intermediate` unless said, `early`, `late` or `fuse_then_train`; or several networks of
            the stage `intermediate` as one, `deep_ensemble`.
        warm_start: a trained model, of which the run takes what fits in place of random weights.
        train: how the model learns.
        update: how the trained model goes on learning from new rows.
        bundle: what is saved beside the model.
        budget: time for a run from the first line to the figures, such as `90s`, `10m` or `1h30m`, or seconds; epochs,
            members of the ensemble and the final training are planned from measured speed so that it ends in time.
            Results then depend on how fast the machine is. None: no limit.
        device: `auto` (CUDA, else MPS, else CPU), `cpu`, `cuda`, `cuda:N` or `mps`.
        seed: of the split, the first weights, the order of rows, dropout, augmentation and the bootstrap.
    """

    target: TargetField = None
    task: PartField = Part()
    columns: dict[str, ColumnConfig] = Field({})
    modalities: dict[str, dict[str, JsonValue]] = Field({})
    encoders: dict[str, PartField] = Field({})
    preset: PresetField = SCRATCH
    pretrained_folder: str | None = None
    share: tuple[str | tuple[str, ...], ...] = ()
    drop: tuple[str, ...] = ()
    inputs: InputsConfig = InputsConfig()
    table: TableConfig = TableConfig()
    weight: str | None = None
    split: SplitConfig = SplitConfig()
    bad_cells: Literal["missing", "drop", "error"] = "missing"
    clean: CleanConfig = CleanConfig()
    limits: LimitsConfig = LimitsConfig()
    fusion: PartField = Part()
    stage: PartField = Part()
    warm_start: WarmStartField = WarmStartConfig()
    train: TrainConfig = TrainConfig()
    update: UpdateConfig = UpdateConfig()
    bundle: BundleConfig = BundleConfig()
    budget: DurationField | None = None
    device: str = "auto"
    seed: int = Field(0, ge=0, lt=2**63)

    @property
    def targets(self) -> tuple[str, ...]:
        """The columns that are predicted: none, one or several."""
        return (self.target,) if isinstance(self.target, str) else self.target or ()

    @property
    def presets(self) -> tuple[str, ...]:
        """Names of one or several."""
        return (self.preset,) if isinstance(self.preset, str) else self.preset

    @property
    def effort(self) -> str:
        """The preset that says how much is trained: `fast`, `default` or `best`."""
        return next((name for name in self.presets if name in (FAST, BEST)), DEFAULT)


def make(values: dict[str, Any], *, source: str = "configuration") -> RunConfig:
    """A checked RunConfig from plain values.

    Raises:
        ConfigError: an unknown key (with the nearest known one), a value of the wrong type or a number that is not
            finite, named by its path.
    """
    config = _validate(RunConfig, values, source)
    for path, number in _not_finite(config.model_dump()):  # JSON has no form for it: no bundle could
        raise ConfigError(f"{source}: {path}: {number} is not a finite number.")
    _check_names(config, source)
    return config


def read(path: Path) -> RunConfig:
    """A RunConfig from a YAML file.

    Raises:
        ConfigError: no such file, not YAML, or not a configuration.
    """
    try:
        values = strict_yaml.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read the configuration {path}: {error.strerror}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path} holds no settings; expected lines such as `target: label`.")
    return make(values, source=str(path))


def given(config: RunConfig | Mapping[str, Any] | str | Path | None, *, source: str) -> RunConfig:
    """A RunConfig from what Python takes for one: itself, plain values, or a YAML file.

    Raises:
        ConfigError: as `make` and `read`.
    """
    if isinstance(config, str | Path):
        return read(Path(config))
    return config if isinstance(config, RunConfig) else make(dict(config or {}), source=source)


def write(config: RunConfig, path: Path) -> None:
    """Writes a RunConfig as YAML that `read` gives back equal."""
    values = config.model_dump(mode="json")
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")


def override(config: RunConfig, assignments: list[str]) -> RunConfig:
    """The configuration with `path.to.key=value` assignments applied; values are YAML.

    >>> override(RunConfig(), ["train.epochs=3", "fusion=gated"]).train.epochs
    3
    """
    values = config.model_dump(mode="json")
    for assignment in assignments:
        path, equals, text = split_assignment(assignment)
        if not equals or not path:
            raise ConfigError(f"--set takes PATH=VALUE, for example train.epochs=5; got {assignment!r}.")
        try:
            value = strict_yaml.parse(text)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reason = getattr(error, "problem", None) or error
            raise ConfigError(f"--set {path}: {text!r} is not a YAML value: {reason}.") from error
        if (quoted := with_quotes(path, value, ColumnConfig)) is not None:
            raise ConfigError(
                f"--set {path}: there is no such setting. Put a column's name that has a dot into quotes: "
                f"--set {shlex.quote(f'{quoted}={text}')}"
            )
        assign(values, path, value)
    return make(values, source="--set")


def assign(values: dict[str, Any], path: str, value: object) -> None:
    """Sets one key of plain configuration values, such as `train.optimizer.lr`, in place."""
    *parents, last = split_path(path)
    node = values
    for key in parents:
        child = node.get(key)
        child = _part(child)  # `fusion: gated` is short for `fusion: {name: gated}`
        node[key] = dict(child) if isinstance(child, dict) else {}
        node = node[key]
    node[last] = value


def part_settings(kind: str, part: Part) -> Any:
    """The settings of a part as the frozen dataclass declared beside its class, defaults filled in.

    Raises:
        ConfigError: unknown part, unknown setting or wrong value.
    """
    name = part.name or ""
    cls = registry.load(kind, name)
    settings = _validate(cls.Config, part.settings, f"{registry.describe(kind)} {name!r}")
    inside = getattr(cls, "submodules", {})  # settings that are parts themselves
    return dataclasses.replace(
        settings, **{field: completed(inner, getattr(settings, field)) for field, inner in inside.items()}
    )


def completed(kind: str, part: Part) -> Part:
    """The part with every setting written out; checked as `part_settings` does."""
    return Part(name=part.name, **plain(part_settings(kind, part)))


def plain(settings: Any) -> dict[str, Any]:
    """A part's settings, a dataclass, as JSON values: tuples become lists."""
    values: dict[str, Any] = to_jsonable_python(dataclasses.asdict(settings))
    return values


def _not_finite(value: object, path: str = "") -> Iterator[tuple[str, float]]:
    """Every NaN and infinity in plain values, with the path to it."""
    if isinstance(value, float) and not math.isfinite(value):
        yield path, value
    nodes = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list | tuple) else ()
    for key, node in nodes:
        yield from _not_finite(node, f"{path}.{key}".lstrip("."))


def _check_names(config: RunConfig, source: str) -> None:
    """Names of parts are checked before any data is read; their settings when the part is built."""
    check_presets(config.presets, source=source)
    chosen = [("fusions", config.fusion.name, "fusion"), ("tasks", config.task.name, "task")]
    chosen += [("stages", config.stage.name, "stage")]
    chosen += [("modalities", name, f"modalities.{name}") for name in config.modalities]
    chosen += [("encoders", name, f"encoders.{name}") for name in config.encoders]
    chosen += [(f"encoders/{key}", part.name, f"encoders.{key}") for key, part in config.encoders.items()]
    for modality, settings in config.modalities.items():
        if "name" in settings:
            raise ConfigError(
                f"{source}: modalities.{modality}.name: these are settings for every {modality} column; to say what one"
                " column is, set columns.COLUMN.modality."
            )
    chosen += [
        ("modalities", c.modality.name, join_path(["columns", key, "modality"])) for key, c in config.columns.items()
    ]
    for kind, name, where in chosen:
        if name is not None and name not in registry.names(kind):
            known = registry.known(kind, name)
            raise ConfigError(f"{source}: {where}: no {registry.describe(kind)} is called {name!r}.{known}")


@cache  # one takes long to make, and the settings of a part are checked for every column
def _adapter(model: Any) -> Any:
    return TypeAdapter(model)


def _validate(model: type[_Settings], values: dict[str, Any], source: str) -> _Settings:
    try:
        checked: _Settings = _adapter(cast(Any, model)).validate_python(values)
        return checked
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(source, model, problem) for problem in error.errors())) from None


_EXPECTED = {  # where pydantic speaks of Python's types
    "tuple_type": "Input should be a list such as [a, b]",
    "model_type": "Input should be settings such as {name: value}",
    "dict_type": "Input should be settings such as {name: value}",
    "dataclass_type": "Input should be settings such as {name: value}",
}


_RENAMED = {
    "timing": "stage",
    "start": "warm_start",
    "auxiliary_vote": "ensemble",
    "ensemble_weight": "ensemble",
    "keeps_space": "spatial_tokens",
    "halvings": "downsampling_stages",
}  # keys of earlier versions


def _explain(source: str, model: type, problem: Any) -> str:
    path = [str(key) for key in problem["loc"]]
    where = join_path(path)
    if problem["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        known = _keys(model, path[:-1])
        if (new := _RENAMED.get(path[-1])) is not None:
            return f"{source}: the key {where!r} is now called {new!r}."
        near = did_you_mean(path[-1], known) or did_you_mean_path(where, RunConfig)
        return f"{source}: unknown key {where!r}.{near} Known here: {', '.join(known)}."
    got = "" if problem["type"] == "missing" else f" (got {problem['input']!r})"
    return f"{source}: {where or 'value'}: {_EXPECTED.get(problem['type'], problem['msg'])}{got}."


def _keys(model: Any, path: list[str]) -> list[str]:
    """Known keys of the node that a path leads to."""
    for key in path:
        fields = getattr(model, "model_fields", {})
        if key in fields:
            annotation = fields[key].annotation
            values = getattr(annotation, "__args__", None)
            model = annotation if values is None else values[-1]
        elif dataclasses.is_dataclass(model):
            model = get_type_hints(model).get(key, model)
        # else: a key of the user's own, such as a column's name; the node is already its type
    if dataclasses.is_dataclass(model):
        return sorted(field.name for field in dataclasses.fields(model))
    return sorted(getattr(model, "model_fields", {}))
