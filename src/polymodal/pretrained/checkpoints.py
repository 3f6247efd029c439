"""Checkpoints as transformers saves them: what their settings may say, the network they describe, its weights.

The folder's `config.json` gives numbers and a few known words, its safetensors files give the weights, and
transformers' own classes do the rest. Nothing is unpickled or imported by name, and nothing is fetched but a checkpoint
that the user named with the prefix `hf:`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from pydantic import JsonValue
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from polymodal.errors import ConfigError, needs_extra
from polymodal.pretrained import fetching

Settings = dict[str, JsonValue]
Reshape = Callable[[str, Tensor], Tensor]

_WORDS = (
    "activation", "activation_function", "feat_extract_activation", "feat_extract_norm", "feed_forward_proj",
    "hidden_act", "layer_type", "model_type", "pos_att_type", "position_biased_input", "position_embedding_type",
)  # fmt: skip
_ROTARY, _ROTARY_WORDS = ("rope_parameters", "rope_scaling"), ("rope_type", "type")  # of rotary position embeddings
_REFUSED = ("auto_map", "custom_pipelines", "quantization_config", "trust_remote_code")
_PREPROCESSING = "preprocessor_config.json"
_SEEING = "vision_model."  # what the tensors of CLIP's half that sees begin with
_OFF = {"apply_spec_augment": False, "layerdrop": 0.0, "encoder_layerdrop": 0.0, "vision_use_head": False}
UNUSED = ("mask_token", "masked_spec_embed")  # parameters that only pretraining uses


@dataclass(frozen=True)
class Family:
    """The checkpoints that an encoder or a decoder takes.

    Attributes:
        what: the part, for messages: "text encoder".
        model_types: as `config.json` calls them.
        files: beside the weights, so many must be there.
        example: what such a folder may be.
    """

    what: str
    model_types: tuple[str, ...]
    files: tuple[str, ...] = ("config.json", _PREPROCESSING)
    example: str = "as `save_pretrained` of the library transformers writes it"

    @property
    def who(self) -> str:
        """The part at the beginning of a message: "Text encoder 'hf'"."""
        return f"{self.what.capitalize()} 'hf'"

    @property
    def expected(self) -> str:
        """How to say which checkpoint is meant, for the end of a message."""
        *files, last = [*self.files, "model.safetensors"]
        return (
            f"Point `checkpoint` to a local folder with {', '.join(files)} and {last}, {self.example}. "
            f"Nothing is downloaded unless `checkpoint` is a name such as {fetching.PREFIX}organisation/model."
        )


@runtime_checkable
class Described(Protocol):
    """Settings of a part that say where its checkpoint is, or, once it is saved, what that said."""

    @property
    def checkpoint(self) -> str | None: ...

    @property
    def architecture(self) -> Settings | None: ...


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of a family: what it says of its network and of preprocessing, and where its weights are.

    Attributes:
        family: whose checkpoint it is.
        architecture: what its `config.json` says, checked.
        preprocessing: numbers and switches of its `preprocessor_config.json`; empty where the family needs none.
        folder: with its weights; None in a saved model, whose weights lie in its bundle.
    """

    family: Family
    architecture: Settings
    preprocessing: Settings
    folder: Path | None

    @property
    def model_type(self) -> str:
        """The kind of network, one of the family's."""
        return str(self.architecture["model_type"])

    def config(self) -> Any:
        """The settings of transformers, complete, so that no part of the network is skipped at random in training.

        Raises:
            ConfigError: transformers does not take them.
            MissingExtraError: transformers is not installed.
        """
        with needs_extra("transformers", "hf", f"The {self.family.what} 'hf'"):
            from transformers import AutoConfig
        settings: dict[str, Any] = dict(self.architecture)
        with _building(self.family):
            config: Any = AutoConfig.for_model(**settings)
            # SpecAugment and layer drop are pretraining's: a skipped layer gets no gradient, for which DDP would wait.
            # SigLIP's head is a pooler of its own.
            for key, off in _OFF.items():
                if hasattr(config, key):
                    setattr(config, key, off)
        return config

    def network(self, *, part: str | None = None, reshape: Reshape | None = None, language_model: bool = False) -> Any:
        """The network with its weights, every one of which must be there; without a folder with random ones.

        It comes without the pooler that some have behind it. transformers renames the tensors of older checkpoints; it
        gets the tensors, and opens no file.

        Args:
            part: of an encoder-decoder the half that is wanted: `encoder`.
            reshape: changes a tensor, given its name, before it is loaded.
            language_model: with the layer on top that gives the logits of the next token.

        Raises:
            ConfigError: transformers cannot build it; no safetensors, damaged ones, or others than the architecture
                has.
            MissingExtraError: transformers is not installed.
        """
        config = self.config()
        with _building(self.family):
            cls = _language_model_of(config) if language_model else _class_of(config, part)
            if self.folder is None:
                return _without_pooler(cls(config))
        tensors = _read_tensors(self.folder, self.family)
        if part is not None:
            tensors = {key.partition(f"{part}.")[2]: value for key, value in tensors.items() if f"{part}." in key}
        if reshape is not None:
            tensors = {name: reshape(name, tensor) for name, tensor in tensors.items()}
        with _building(self.family), _quiet():
            network, report = cls.from_pretrained(
                None,
                config=config,
                state_dict=tensors,
                output_loading_info=True,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,  # of which the report tells
            )
        network = _without_pooler(network)
        who, folder = self.family.who, self.folder
        misfits = sorted(str(entry[0]) for entry in report["mismatched_keys"])
        if misfits:
            raise ConfigError(f"{who}: the weights in {folder} do not fit its config.json: {misfits[0]!r}.")
        missing = sorted(key for key in report["missing_keys"] if key in network.state_dict())
        missing = [key for key in missing if not key.endswith(UNUSED)]
        if missing:
            raise ConfigError(f"{who}: {folder} lacks {len(missing)} tensors, such as {missing[0]!r}.")
        return network


def described(settings: Described, family: Family) -> Checkpoint:
    """The checkpoint that the settings name, or what a saved encoder's settings say of it.

    Raises:
        ConfigError: no such folder, or a file in it is missing.
    """
    if settings.checkpoint is None and settings.architecture is not None:
        architecture = checked(settings.architecture, family, source="architecture")
        return Checkpoint(family, architecture, dict(getattr(settings, "preprocessing", None) or {}), folder=None)
    folder = locate(settings.checkpoint, family)
    preprocessing = read_preprocessing(folder, family) if _PREPROCESSING in family.files else {}
    return Checkpoint(family, read_architecture(folder, family), preprocessing, folder)


def locate(checkpoint: str | None, family: Family) -> Path:
    """The folder that a setting `checkpoint` means: a local one, or of a name with the prefix `hf:` its copy.

    Raises:
        ConfigError: there is none.
    """
    if checkpoint is None:
        raise ConfigError(f"{family.who} needs a checkpoint. {family.expected}")
    if checkpoint.startswith(fetching.PREFIX):
        return fetching.fetch(checkpoint.removeprefix(fetching.PREFIX), who=family.who)
    folder = Path(checkpoint).expanduser()
    if not folder.is_dir():
        raise ConfigError(f"{family.who}: there is no folder {checkpoint!r}. {family.expected}")
    return folder


def read_architecture(folder: Path, family: Family) -> Settings:
    """What the folder's `config.json` says of the network, checked by `checked`; of CLIP's, its half that sees."""
    values = _read(folder / "config.json", family)
    inside, kind = values.get("vision_config"), f"{values.get('model_type')}_vision_model"
    if isinstance(inside, dict) and kind in family.model_types:
        values = {**inside, "model_type": kind}
    return checked(values, family, source=str(folder / "config.json"))


def read_preprocessing(folder: Path, family: Family) -> Settings:
    """Numbers and switches of the folder's `preprocessor_config.json`, or of what newer checkpoints have instead."""
    newer = folder / "processor_config.json"
    if newer.is_file() and not (folder / _PREPROCESSING).exists():
        values = _read(newer, family)
        inside = [values[key] for key in ("feature_extractor", "image_processor", "video_processor") if key in values]
        values = next((value for value in inside if isinstance(value, dict)), values)
    else:
        values = _read(folder / _PREPROCESSING, family)
    return {key: value for key, value in values.items() if _is_plain(value) or _is_size(value)}


def checked(values: Mapping[str, JsonValue], family: Family, *, source: str) -> Settings:
    """Numbers, switches and a few known words of an architecture.

    Keys that name code are refused. What else is left out says nothing about the network (labels, versions), and no
    string that remains is ever used as the name of something to import, fetch or open.

    Raises:
        ConfigError: such a key, or a kind of model that the family does not have.
    """
    for key in values:
        if key in _REFUSED or key.endswith(("implementation", "implementation_internal")):
            raise ConfigError(f"{source}: {key!r} asks for code from outside, which Polymodal never runs.")
    kind = values.get("model_type")
    if kind not in family.model_types:
        known = ", ".join(family.model_types)
        raise ConfigError(f"{source}: model_type {kind!r} is not a known {family.what}: {known}.")
    found = {key: value for key, value in values.items() if key in _WORDS or _is_plain(value)}
    return found | {key: _rotary(values[key]) for key in _ROTARY if isinstance(values.get(key), dict)}


def _rotary(values: Any) -> Settings:
    return {key: value for key, value in values.items() if key in _ROTARY_WORDS or _is_plain(value)}


def width_of(network: Any) -> int:
    """The width of a network's states."""
    config = network.config
    return int(config.hidden_sizes[-1] if getattr(config, "hidden_sizes", None) else config.hidden_size)


def _class_of(config: Any, part: str | None) -> Any:
    """The class in transformers of the network that the settings describe, or of its part."""
    from transformers.models.auto.modeling_auto import MODEL_MAPPING

    cls: Any = MODEL_MAPPING[type(config)]
    if part is None:
        return cls
    with torch.device("meta"):  # where no memory is taken
        return type(getattr(cls(config), part))


def _language_model_of(config: Any) -> Any:
    """The class in transformers of the network with the layer that gives the logits of the next token."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    )

    sequence_to_sequence = config.is_encoder_decoder
    return (MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING if sequence_to_sequence else MODEL_FOR_CAUSAL_LM_MAPPING)[
        type(config)
    ]


def _without_pooler(network: Any) -> Any:
    """The network without what it would do to its states for one task of its pretraining."""
    pooler = getattr(network, "pooler", None)
    if pooler is not None and any(True for _ in pooler.parameters()):
        network.pooler = None
    return network


@contextmanager
def _building(family: Family) -> Iterator[None]:
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError, ZeroDivisionError) as error:
        reason = str(error).strip() or type(error).__name__
        raise ConfigError(f"{family.who}: transformers cannot build this architecture: {reason}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """It would draw a bar, and report the heads of other tasks that are left out."""
    from transformers.utils import logging as untyped

    messages: Any = untyped
    verbosity, bar = messages.get_verbosity(), messages.is_progress_bar_enabled()
    messages.set_verbosity(logging.ERROR)
    messages.disable_progress_bar()
    try:
        yield
    finally:
        messages.set_verbosity(verbosity)
        if bar:
            messages.enable_progress_bar()


def _read(file: Path, family: Family) -> Settings:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{family.who}: cannot read {file}: {error.strerror}. {family.expected}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{family.who}: {file} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{family.who}: {file} holds no settings. {family.expected}")
    return values


def _is_plain(value: object) -> bool:
    """A number, a switch, or a list of them."""
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, bool | int | float) for item in items)


def _is_size(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(item, int) for item in value.values())


def _read_tensors(folder: Path, family: Family) -> dict[str, Tensor]:
    files = sorted(folder.glob("model*.safetensors"))
    if not files:
        pickled = sorted(file.name for file in folder.glob("*.bin"))
        found = f" ({pickled[0]} is a pickle, which can run code when it is opened)" if pickled else ""
        raise ConfigError(f"{family.who}: {folder} holds no model.safetensors{found}. {family.expected}")
    tensors: dict[str, Tensor] = {}
    for file in files:
        try:
            tensors.update({_modern(key.removeprefix(_SEEING)): value for key, value in load_file(file).items()})
        except SafetensorError as error:
            raise ConfigError(f"{family.who}: {file} is damaged: {error}") from error
    return tensors


def _modern(key: str) -> str:
    """Checkpoints of the first BERT releases call the two vectors of LayerNorm gamma and beta."""
    return key.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
