"""The one description of a run: read, checked, overridden, written back.

Python, YAML and the command line all make the same `RunConfig`. `None` means: choose for me; the run writes back what
was chosen. Settings of a part (an encoder, a fusion, ...) are declared beside its class and checked against that.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterable, Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, cast

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python

from polymodal import registry
from polymodal.config.bundle import BundleConfig
from polymodal.config.duration import DurationField
from polymodal.config.node import Settings, TargetField
from polymodal.config.paths import split_assignment, split_path, with_quotes, without_open_quotes
from polymodal.config.preset_names import BEST, DEFAULT, FAST, SCRATCH, PresetField
from polymodal.config.problems import collecting_errors, explain, not_finite, wrong_names
from polymodal.config.table import CleanConfig, TableConfig
from polymodal.config.train import TrainConfig, UpdateConfig, WarmStartConfig, WarmStartField
from polymodal.errors import ConfigError
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
        ConfigError: unknown keys (with the nearest known ones), values of the wrong type and numbers that are not
            finite, each named by its path.
    """
    problems: list[str] = []
    try:
        config = _adapter(RunConfig).validate_python(values)
    except ValidationError as error:
        problems += explain(error, RunConfig, RunConfig, source)
        config = _remainder(values, error)
    for path, number in not_finite(config.model_dump()):  # JSON has no form for it: no bundle could
        problems.append(f"{source}: {path}: {number} is not a finite number.")
    problems += wrong_names(config, source)
    if problems:
        raise ConfigError("\n".join(problems))
    return cast(RunConfig, config)


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

    A whole is set before its parts, whatever the order: `fusion.width=8` is not lost by a later `fusion=gated`.

    >>> override(RunConfig(), ["train.epochs=3", "fusion=gated"]).train.epochs
    3
    """
    values = config.model_dump(mode="json")
    problems: list[str] = []
    parsed: list[tuple[str, object]] = []
    for assignment in assignments:
        with collecting_errors(problems):
            parsed.append(_assignment(assignment))
    assign_all(values, parsed)
    with collecting_errors(problems):
        config = make(values, source="--set")
    if problems:
        raise ConfigError("\n".join(problems))
    return config


def _assignment(assignment: str) -> tuple[str, object]:
    """Path and value of `path.to.key=value`.

    Raises:
        ConfigError: there is no path or no value, or what stands for it is no YAML.
    """
    path, equals, text = split_assignment(assignment)
    if not equals or not path:
        raise ConfigError(f"--set takes PATH=VALUE, for example train.epochs=5; got {assignment!r}.")
    try:
        value = strict_yaml.parse(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = getattr(error, "problem", None) or error
        raise ConfigError(f"--set {path}: {text!r} is not a YAML value: {reason}.") from error
    if with_quotes(path, value, ColumnConfig) is not None:
        plain = without_open_quotes(path)
        quoted = with_quotes(plain, value, ColumnConfig)
        problem = "there is no such setting" if plain == path else "a quote in it is never closed"
        raise ConfigError(
            f"--set {path}: {problem}. Put a column's name that has a dot into quotes: "
            f"--set {shlex.quote(f'{quoted}={text}')}"
        )
    return path, value


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


def assign_all(values: dict[str, Any], assignments: Iterable[tuple[str, object]]) -> None:
    """Sets keys of plain configuration values in place, a whole before its parts; the last of equal paths counts."""
    for path, value in sorted(assignments, key=lambda one: len(split_path(one[0]))):
        assign(values, path, value)


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


def _remainder(values: dict[str, Any], error: ValidationError) -> RunConfig:
    """What is right in plain values, so that it can be checked further; the defaults where that is not to be had."""
    kept = deepcopy(values)
    for problem in error.errors():
        node: Any = kept
        *parents, last = problem["loc"] or ("",)
        for key in parents:
            inner = node.get(key) if isinstance(node, dict) else None
            if not isinstance(inner, dict):
                last = key
                break
            node = inner
        node.pop(last, None)
    try:
        return cast(RunConfig, _adapter(RunConfig).validate_python(kept))
    except ValidationError:
        return RunConfig()


@cache  # one takes long to make, and the settings of a part are checked for every column
def _adapter(model: Any) -> Any:
    return TypeAdapter(model)


def _validate(model: type[_Settings], values: dict[str, Any], source: str) -> _Settings:
    try:
        checked: _Settings = _adapter(cast(Any, model)).validate_python(values)
        return checked
    except ValidationError as error:
        raise ConfigError("\n".join(explain(error, model, RunConfig, source))) from None
