"""How a pretrained network goes on learning: not at all, wholly, in its last layers, or by low-rank adapters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from polymodal.config.node import settings
from polymodal.errors import ConfigError, needs_extra
from polymodal.protocols import Module

LR_SCALE = {"frozen": 1.0, "full": 0.02, "top": 0.05, "lora": 0.2}
_ADAPTER = "default"  # what peft calls the only one


@settings
class Train:
    """How the weights of a pretrained network learn, shared by all encoders and decoders that start from a checkpoint.

    Attributes:
        name: `frozen`, not at all, so that an encoder encodes every cell only once; `full`, all of them; `top`, those
            of the last layers; `lora`, low-rank adapters beside weights that stay. `train: lora` says the same.
        layers: of `top`: so many of the last layers, with what follows them.
        rank: of `lora`: of the matrices that are learned.
        alpha: of `lora`: they count alpha / rank.
        dropout: of `lora`: probability, before the adapters.
        targets: of `lora`: ends of the names of the layers that get one; null: every linear layer, or where a network
            has none, every convolution. The output layer of a language model, which may share its weights with the
            embeddings, gets none.
        lr_scale: the learning rate of these weights, as a share of `train.optimizer.lr`; null: 0.02 for `full`, 0.05
            for `top`, 0.2 for `lora`.
    """

    name: Literal["frozen", "full", "top", "lora"] = "frozen"
    layers: PositiveInt = 2
    rank: PositiveInt = 8
    alpha: PositiveInt = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: tuple[str, ...] | None = None
    lr_scale: PositiveFloat | None = None

    @property
    def factor(self) -> float:
        """The share of the learning rate."""
        return LR_SCALE[self.name] if self.lr_scale is None else self.lr_scale


def _train(value: object) -> object:
    if isinstance(value, bool):
        return {"name": "full" if value else "frozen"}
    return {"name": value} if isinstance(value, str) else value


FROZEN = Train()
"""What a pretrained network does unless told otherwise."""

TrainField = Annotated[Train, BeforeValidator(_train)]
"""A setting of a part: `{name: lora, rank: 4}`, or just `lora`; `true` and `false` mean `full` and `frozen`."""

Layers = Callable[[nn.Module], Sequence[Sequence[str]]]
"""A network -> the names of its parameters by layer, first to last; the last holds what follows the layers, too."""


def adapt(network: nn.Module, train: Train, *, who: str, layers: Layers, unused: Sequence[str] = ()) -> None:
    """Makes those parameters of a network learn that are meant to, and adds adapters to it where these are meant.

    No result depends on parameters whose names end as one of `unused`; messages say `who` has the network.

    Raises:
        ConfigError: it has fewer layers than `top` asks for, or none of the names that `lora` asks for.
        MissingExtraError: `lora` without peft.
    """
    network.requires_grad_(train.name == "full")
    if train.name == "top":
        found = layers(network)
        if train.layers > len(found):
            raise ConfigError(f"{who}: train.layers is {train.layers}, but the network has {len(found)} layers.")
        learning = {name for names in found[-train.layers :] for name in names}
        for name, parameter in network.named_parameters():
            parameter.requires_grad_(name in learning)
    elif train.name == "lora":
        _add_adapters(network, train, who)
    for name, parameter in network.named_parameters():
        if name.endswith(tuple(unused)):
            parameter.requires_grad_(False)


def blocks(network: nn.Module) -> list[list[str]]:
    """The parameters of a transformers network by layer: of its lists of modules the one with most parameters counts.

    What is registered behind this list, such as the last norm, belongs to the last layer.
    """
    names = [name for name, _ in network.named_parameters()]
    lists: dict[str, nn.ModuleList] = {}  # those that lie in no other
    for name, module in network.named_modules():
        if isinstance(module, nn.ModuleList) and not name.startswith(tuple(f"{outer}." for outer in lists)):
            lists[name] = module
    if not lists:
        return [names]
    largest = max(lists, key=lambda name: sum(p.numel() for p in lists[name].parameters()))
    places = range(len(lists[largest]))
    found = [[name for name in names if name.startswith(f"{largest}.{place}.")] for place in places]
    found = [layer for layer in found if layer]
    end = names.index(found[-1][-1])
    found[-1] += names[end + 1 :]
    return found


def merged_state(module: nn.Module) -> dict[str, Tensor]:
    """The state of a module whose adapters, if it has any, are added to the weights beside which they stand.

    It fits the same module without adapters: W + alpha / rank * B A (Hu et al. 2021, arXiv 2106.09685, equation 3).
    """
    state = dict(module.state_dict())
    with torch.no_grad():
        for name, part in module.named_modules():
            if hasattr(part, "get_delta_weight"):
                weight = f"{name}.base_layer.weight"
                state[weight] = state[weight] + part.get_delta_weight(_ADAPTER)
    return {name.replace(".base_layer.", "."): value for name, value in state.items() if ".lora_" not in name}


def merged_names(module: Module) -> dict[str, str]:
    """By the name that a tensor has in `merged_state`, the one that it has in the module; adapters have none."""
    return {name.replace(".base_layer.", "."): name for name in module.state_dict() if ".lora_" not in name}


def _add_adapters(network: nn.Module, train: Train, who: str) -> None:
    with needs_extra("peft", "lora", f"{who} with train: lora"):
        from peft import LoraConfig, inject_adapter_in_model
    targets = _targets(network, train.targets)
    if not targets:
        wanted = "linear layer or convolution" if train.targets is None else " or ".join(train.targets)
        raise ConfigError(f"{who}: the network has no {wanted} for an adapter of train.targets.")
    modules = dict(network.named_modules())
    settings: Any = LoraConfig(
        r=train.rank,
        lora_alpha=train.alpha,
        lora_dropout=train.dropout,
        target_modules=targets,
        bias="none",
        fan_in_fan_out=all(_is_transposed(modules[name]) for name in targets),
    )
    inject_adapter_in_model(settings, network, adapter_name=_ADAPTER)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(".lora_" in name)


def _targets(network: nn.Module, endings: Sequence[str] | None) -> list[str]:
    """Names of the layers that get an adapter: all linear ones, as Dettmers et al. 2023 (arXiv 2305.14314) advise."""
    outermost: Any = network
    output = outermost.get_output_embeddings() if hasattr(network, "get_output_embeddings") else None
    linear = [
        name
        for name, module in network.named_modules()
        if (isinstance(module, nn.Linear) or _is_transposed(module)) and module is not output
    ]
    convolutions = [n for n, module in network.named_modules() if isinstance(module, nn.Conv2d) and module.groups == 1]
    if endings is None:
        return linear or convolutions
    return [name for name in linear + convolutions if name.endswith(tuple(endings))]


def _is_transposed(module: nn.Module) -> bool:
    """GPT-2's linear layers, whose weights are "in out"."""
    return type(module).__name__ == "Conv1D"
