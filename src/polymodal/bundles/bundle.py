"""The saved model: tensors and schema-checked JSON in one folder, no code, no pickle.

    manifest.json        version of the format, who wrote it, sha256 and size of every other file
    config.json          the RunConfig
    schema.json          columns, inputs and target, with what was learned about them
    weights.safetensors  the state of the model; of equal large tensors one is stored
    metrics.json         what evaluation found
    README.md            model card
    NAME/..., NAME.json  members: what registered parts add, such as an index; see `bundles.members`

A string in these files is only ever compared with the names of registered parts: none names something to import, to
fetch or to open. An encoder or decoder that starts from an outside file calls that setting `checkpoint` or `vectors`;
here it is null, and the part's `portable` settings say all that is needed to build it again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from polymodal import registry
from polymodal.abilities import Merging, Outside
from polymodal.bundles import files as bundle_files
from polymodal.bundles import members
from polymodal.bundles.card import checkpoint_of
from polymodal.bundles.files import CARD, CONFIG, FORMAT, LIMITS, MANIFEST, METRICS, SCHEMA, WEIGHTS, Sealed, refusing
from polymodal.bundles.members import BundleMember
from polymodal.config import run_config as configuration
from polymodal.config.run_config import RunConfig
from polymodal.config.train import WarmStartConfig
from polymodal.errors import BundleError, ConfigError, DamagedBundleError, MissingExtraError, PolymodalError
from polymodal.files import strict_json, tensorfile
from polymodal.files.streams import Content
from polymodal.metrics.results import Results
from polymodal.models.build import build, task_of
from polymodal.models.model import Network
from polymodal.protocols import Task
from polymodal.schema import Schema

Documents = dict[str, object]  # the JSON of a bundle, by the name of its file
Tensors = dict[str, Tensor]  # the weights, by name
Migration = Callable[[Documents, Tensors], tuple[Documents, Tensors]]
"""From one format to the next: the weights renamed, reshaped or left out; it may change what it gets."""

MIGRATIONS: dict[int, Migration] = {  # by the format that they start from
    1: lambda documents, tensors: (documents, tensors),  # each tensor is stored, also where it is equal to another
}
_FLAWS = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError, PolymodalError)


@dataclass(frozen=True)
class Bundle:
    """A trained model and everything that is needed to use it.

    Attributes:
        model: in eval mode when it was loaded; a network of `models`.
        metrics: what was measured of it.
        card: model card, Markdown.
        members: what else is saved with it, by the registered name of its part.
    """

    model: Network
    schema: Schema
    config: RunConfig
    metrics: Results
    card: str
    members: Mapping[str, BundleMember] = field(default_factory=dict)

    @cached_property
    def task(self) -> Task:
        """What is predicted, fitted.

        Raises:
            BundleError: the bundle names no task.
        """
        if self.schema.target is None:
            raise BundleError("This bundle names no task.")
        return task_of(self.schema.target)


def save(bundle: Bundle, folder: Path | str) -> int:
    """Writes a bundle to a folder; one that is already there is replaced once the new one is whole.

    Returns:
        Its size in bytes.

    Raises:
        BundleError: the folder holds other files, the disk refuses, or the model holds what a bundle cannot.
    """
    return bundle_files.write(Path(folder), _files(bundle))


def load(folder: Path | str) -> Bundle:
    """The bundle that a folder holds, on the CPU. Runs nothing that the folder brings.

    Raises:
        BundleError: there is none, or it needs a part that is not installed.
        DamagedBundleError: a file is missing, altered, or not what it should be.
        NewerBundleError: written by a newer Polymodal.
        MissingExtraError: it needs an optional dependency.
    """
    return _restore(bundle_files.read(Path(folder)))


def to_bytes(bundle: Bundle) -> bytes:
    """What `save` writes, as bytes; the same for the same model.

    Raises:
        BundleError: the model holds what a bundle cannot.
    """
    return bundle_files.pack(_files(bundle))


def from_bytes(data: bytes) -> Bundle:
    """The bundle that `to_bytes` made bytes of; as careful as `load`, and raises the same."""
    return _restore(bundle_files.unpack(data))


def _files(bundle: Bundle) -> dict[str, Content]:
    """The bundle's files; what `_restore` would not read back is refused now, while the model is at hand."""
    for module in bundle.model.modules():
        if name := getattr(module, "unsaveable", None):
            raise BundleError(
                f"A bundle cannot hold this model: its {name} came from Python, and only tensors and JSON are saved. "
                "Use logistic, ridge, svm, svm_rbf or gradient_boosting by name instead."
            )
    try:
        # What it started from is in the weights.
        alone = bundle.config.model_copy(update={"warm_start": WarmStartConfig()})
        config = strict_json.dump(alone.model_dump(mode="json"))
        schema = strict_json.dump(_portable(bundle).model_dump(mode="json"))
        files: dict[str, Content] = {
            CONFIG: config,
            SCHEMA: schema,
            METRICS: strict_json.dump(bundle.metrics.model_dump()),  # not mode="json": that hides NaN
            WEIGHTS: tensorfile.TensorFile(_state(bundle.model)),
            CARD: bundle.card.encode(),
        }
        _read_config(strict_json.parse(config))
        _read_schema(strict_json.parse(schema))
        files |= members.write(bundle.members, reserved=(MANIFEST, *LIMITS))
    except (ConfigError, TypeError, ValueError) as error:
        raise BundleError(f"A bundle cannot hold this model: {error}") from error
    return files


def _portable(bundle: Bundle) -> Schema:
    """The schema with settings from which every part can be built without a file outside."""
    encoders = bundle.model.encoders
    inputs = tuple(
        entry.model_copy(update={"settings": strict_json.parse(strict_json.dump(encoders[entry.name].portable))})
        for entry in bundle.schema.inputs
    )
    target = bundle.schema.target
    if target is not None and isinstance(bundle.model.head, Outside):
        settings = strict_json.dump(bundle.model.head.portable(target.settings))
        target = target.model_copy(update={"settings": strict_json.parse(settings)})
    return bundle.schema.model_copy(update={"inputs": inputs, "target": target})


def _state(model: Network) -> dict[str, Tensor]:
    """The state of a model that fits the settings of `_portable`."""
    state = dict(model.state_dict())
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, Merging):
            state = {key: value for key, value in state.items() if not key.startswith(f"{name}.")}
            state |= {f"{name}.{key}": value for key, value in module.portable_state().items()}
    return state


def _restore(sealed: Sealed) -> Bundle:
    documents: Documents = {}
    for name in (CONFIG, SCHEMA, METRICS):
        with refusing(f"{sealed.source}: {name}"):
            documents[name] = strict_json.parse(sealed.files[name])
    with refusing(f"{sealed.source}: {WEIGHTS}"):
        weights = tensorfile.decode(sealed.files.pop(WEIGHTS))  # then only one copy of them is left
    with refusing(sealed.source):
        documents, weights = _migrate(documents, weights, start=sealed.format, end=FORMAT)
    with refusing(f"{sealed.source}: {CONFIG}"):
        config = _read_config(documents[CONFIG])
    with refusing(f"{sealed.source}: {SCHEMA}"):
        schema = _read_schema(documents[SCHEMA])
    with refusing(f"{sealed.source}: {METRICS}"):
        metrics = Results.model_validate(_object(documents[METRICS]))
    with refusing(f"{sealed.source}: {CARD}"):
        card = sealed.files[CARD].decode()
    model = _model(sealed.source, schema, config, weights)
    return Bundle(model, schema, config, metrics, card, _members(sealed))


def _migrate(documents: Documents, tensors: Tensors, *, start: int, end: int) -> tuple[Documents, Tensors]:
    """Documents and weights in format `end`.

    Raises:
        ValueError: they are not in the format `start`.
    """
    for version in range(start, end):
        migration = MIGRATIONS[version]
        try:
            documents, tensors = migration(documents, tensors)
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # what it looks for is not there
            raise ValueError(f"it is not in format {version}, as it says: {error!r}") from error
    return documents, tensors


def _members(sealed: Sealed) -> dict[str, BundleMember]:
    """What the files beside the fixed ones hold; their paths were checked before they were opened."""
    files: dict[str, dict[str, bytes]] = {}
    for path, content in sealed.files.items():
        if path not in LIMITS:
            files.setdefault(members.owner(path), {})[path] = content
    found: dict[str, BundleMember] = {}
    for name, mine in files.items():
        try:
            found[name] = registry.load(members.KIND, name).read(mine)
        except MissingExtraError:
            raise
        except _FLAWS as error:  # which of them, is the part's own choice
            raise DamagedBundleError(f"{sealed.source}: its member {name!r} cannot be read: {error}") from error
    return found


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    return value


def _read_config(value: object) -> RunConfig:
    config = configuration.make(_object(value), source="configuration")
    if config.warm_start != WarmStartConfig():
        raise ValueError("warm_start: a bundle names no other bundle")
    return config


def _read_schema(value: object) -> Schema:
    """A schema whose names all exist, and that names nothing outside.

    Raises:
        ValueError: it contradicts itself.
        ConfigError: it names a part that is not registered here.
    """
    schema = Schema.model_validate(value)
    features = [column.name for column in schema.features()]
    inputs = [entry.name for entry in schema.inputs]
    if len({column.name for column in schema.columns}) < len(schema.columns) or len(set(inputs)) < len(inputs):
        raise ValueError("two columns or two inputs have the same name")
    parts = [("modalities", column.modality) for column in schema.features()]
    for entry in schema.inputs:
        if unknown := set(entry.columns).difference(features):
            raise ValueError(f"input {entry.name!r} needs columns that do not enter the model: {sorted(unknown)}")
        if checkpoint_of(entry.settings) is not None:
            raise ValueError(f"input {entry.name!r} depends on a checkpoint outside the bundle")
        parts += [("encoders", entry.modality), (f"encoders/{entry.modality}", entry.encoder)]
    if schema.target is not None:
        if checkpoint_of(schema.target.settings) is not None:
            raise ValueError(f"target {schema.target.name!r} depends on a checkpoint outside the bundle")
        parts.append(("tasks", schema.target.task))
    for kind, name in parts:
        if name not in registry.names(kind):
            raise ConfigError(f"no {registry.describe(kind)} is called {name!r}.{registry.known(kind, str(name))}")
    return schema


def _model(source: str, schema: Schema, config: RunConfig, weights: dict[str, Tensor]) -> Network:
    try:
        with torch.random.fork_rng(devices=[]):  # first weights are drawn and replaced: nobody else's numbers change
            model = build(schema, config)
        for name, tensor in model.state_dict().items():
            if name in weights and weights[name].dtype != tensor.dtype:  # load_state_dict would convert silently
                raise ValueError(f"tensor {name!r} is {weights[name].dtype}, the model's {tensor.dtype}")
        model.load_state_dict(weights, strict=True, assign=False)
    except MissingExtraError:
        raise
    except _FLAWS as error:
        # What a part raises for a setting or statistic that it never wrote is the part's own choice.
        raise DamagedBundleError(f"{source}: no model can be built from it: {error}") from error
    model.eval()
    return model
