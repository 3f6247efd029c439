"""The rules that modalities, encoders, fusions and tasks have alike, for the checks of `polymodal.testing`."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass
from html.parser import HTMLParser
from typing import Any, cast

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from polymodal import registry
from polymodal.abilities import Merging
from polymodal.data.cells.features import Featured
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Modality, Recognition
from polymodal.types import Tokens

Settings = Mapping[str, Any]

_LONGEST_PREVIEW = 500_000  # characters: five seconds of WAV
_PREVIEW_TAGS = frozenset(
    {"audio", "bdi", "br", "code", "div", "em", "figcaption", "figure", "img", "li", "ol", "small", "source", "span",
     "strong", "time", "ul", "video"}
)  # fmt: skip
TOLERANCE = 1e-5  # between a row alone and the row in a batch, in float32


def sample_cells(modality: str) -> list[object]:
    """Six cells, all different, as a table would hold them.

    Args:
        modality: one of those below, or one whose class gives its own by a class method `examples`.

    Raises:
        AssertionError: another modality; its author passes `cells` to the checks.
    """
    rng = np.random.default_rng(0)
    samples: dict[str, Callable[[], list[object]]] = {
        "text": lambda: ["a small red cat", "two dogs run", "red", "a dog and a cat play in the sun", "sun", "no dogs"],
        "image": lambda: [rng.integers(0, 256, (20 + row, 24, 3), dtype=np.uint8) for row in range(6)],
        "audio": lambda: [rng.uniform(-0.5, 0.5, n) for n in (16_000, 1_600, 2_345, 900, 3_001, 450)],
        "number": lambda: [1.5, -2, "3.25", 0.0, 1e3, 7],
        "category": lambda: ["red", "green", "blue", "white", "black", "grey"],
    }
    if modality not in samples:
        cls = registry.load("modalities", modality)
        expect(hasattr(cls, "examples"), f"no sample cells for the modality {modality!r}: pass cells=[...]")
        return list(cls.examples())
    return samples[modality]()


def as_it_enters(encoder: type, modality: Modality) -> Modality:
    """What an encoder receives of a modality: its cells, or where it asks for them, handcrafted features."""
    return cast(Modality, Featured(modality)) if getattr(encoder, "takes_features", False) else modality


def settings_of(cls: Any, values: Settings | None) -> Any:
    """Settings as the part's own dataclass, defaults filled in."""
    return TypeAdapter(cls.Config).validate_python(dict(values or {}))


def load_checked(kind: str, part: str | type, values: Settings | None) -> tuple[Any, Any]:
    """The class of a part, by name or as itself, and its settings: frozen, surviving JSON, without unknown keys."""
    cls: Any = registry.load(kind, part) if isinstance(part, str) else part
    adapter: TypeAdapter[Any] = TypeAdapter(cls.Config)
    config = settings_of(cls, values)
    frozen = is_dataclass(cls.Config) and getattr(cls.Config, "__dataclass_params__").frozen  # noqa: B009 - no type knows of it
    expect(frozen, f"{cls.__name__}.Config is not a frozen dataclass")
    expect(adapter.validate_json(adapter.dump_json(config)) == config, "settings change on their way through JSON")
    try:
        adapter.validate_python({"no_such_setting": 1})
    except ValidationError:
        return cls, config
    raise AssertionError('an unknown setting is taken; give Config __pydantic_config__ = ConfigDict(extra="forbid")')


def fitted(cls: Any, config: Any, *args: Any, **kwargs: Any) -> Any:
    """The part with statistics, which are JSON, and the same however often it is fitted."""
    unfitted = cls(config)
    statistics = unfitted.fit(*args, **kwargs)
    expect(same_json(unfitted.fit(*args, **kwargs), statistics), "fit gives other statistics the second time")
    return cls(config, json.loads(json.dumps(statistics)))


def check_tokens(tokens: Tokens, *, num_rows: int, width: int) -> None:
    """Shapes, a left-aligned mask, and finite values everywhere."""
    rows, num_steps, found = tokens.values.shape
    expect(found == width, f"tokens are {found} wide, `width` says {width}")
    expect(tokens.mask.shape == (rows, num_steps) and rows == num_rows, "values and mask do not fit the rows")
    expect(tokens.mask.dtype == torch.bool, "the mask is not of bool")
    left_aligned = not (tokens.mask[:, 1:] & ~tokens.mask[:, :-1]).any()
    expect(left_aligned, "the mask is not left-aligned: a real token stands behind a masked one")
    expect(bool(torch.isfinite(tokens.values).all()), "values are not finite (masked rows count too)")


def check_recognition(recognition: Recognition) -> None:
    """A confidence and a reason."""
    expect(0 <= recognition.confidence <= 1, f"a confidence of {recognition.confidence} is not between 0 and 1")
    expect(bool(recognition.reason), "recognise gives no reason")


def check_preview(modality: Modality, cells: Sequence[object]) -> None:
    """Previews are small, load nothing from outside, and what a cell holds never becomes markup in them."""
    for place, cell in enumerate([*cells, "</script><b onclick=x>'\""]):
        try:
            shown = modality.preview(cell)
        except UnreadableCellError:
            expect(place == len(cells), "preview refuses a cell that read takes")
            continue
        expect(isinstance(shown, str) and bool(shown), "preview gives no HTML")
        expect(len(shown) <= _LONGEST_PREVIEW, f"a preview of {len(shown)} characters is not small")
        found = _Markup()
        found.feed(shown)
        found.close()
        expect(not found.wrong, f"a preview may not hold {found.wrong}")


class _Markup(HTMLParser):
    """Notes what may run, or load from outside."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _PREVIEW_TAGS:
            self.wrong.append(f"<{tag}>")
        for name, value in attrs:
            if name.startswith("on") or (name in {"src", "href", "poster"} and not (value or "").startswith("data:")):
                self.wrong.append(f"{name}={value!r}")


def check_gradients(module: nn.Module, result: Callable[[], Tensor], *, absent: str | None = None) -> bool:
    """Every parameter that learns is in the graph, and nothing else is; gives whether there is any."""
    learning = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    module.zero_grad(set_to_none=True)
    _leave_zero(module)
    output = result()
    strays = {id(leaf) for leaf in _leaves(output)} - {id(parameter) for parameter in learning.values()}
    expect(
        not strays,
        "the result depends on parameters that the module does not know, such as those in a plain list: they would "
        "not be trained or saved; use nn.ParameterList or nn.ModuleList",
    )
    if learning:
        weighted = output * torch.linspace(0.5, 1.5, output.numel()).view_as(output)
        torch.autograd.backward(weighted.sum())
    for name, parameter in learning.items():
        if (gradient := parameter.grad) is None:
            raise AssertionError(f"no gradient reaches {name}" + (f" when {absent}" if absent else ""))
        expect(bool(torch.isfinite(gradient).all()), f"the gradient of {name} is not finite")
        expect(absent is not None or bool(gradient.any()), f"the gradient of {name} is zero: it cannot learn")
    return bool(learning)


def _leaves(output: Tensor) -> list[Tensor]:
    """All leaf tensors that the graph of a tensor would give a gradient to."""
    found: list[Tensor] = []
    seen: set[Any] = set()
    waiting: list[Any] = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            found.append(node.variable)
        waiting += [following for following, _ in node.next_functions]
    return found


def check_weights(module: nn.Module, other: nn.Module, result: Callable[[nn.Module], Tensor]) -> None:
    """With the weights of one, another instance gives the very same result."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.01 * torch.randn_like(parameter))  # not what it was built with
    if isinstance(module, Merging):  # W x + B A x is (W + B A) x up to rounding
        other.load_state_dict(module.portable_state())
        same = near(result(module.eval()), result(other.eval()))
        expect(same, "portable_state does not hold all that the result depends on")
        return
    other.load_state_dict(module.state_dict())
    same = torch.equal(result(module.eval()), result(other.eval()))
    expect(same, "state_dict does not hold all that the result depends on")


def _leave_zero(module: nn.Module) -> None:
    """Moves what learns and is all zero: behind the zero matrix of a new adapter no gradient is other than zero."""
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad and not parameter.any():
                parameter.add_(0.01 * torch.randn_like(parameter))


def row_of(tokens: Tokens, row: int) -> Tokens:
    """One row without its padding."""
    num_steps = max(int(tokens.mask[row].sum()), 1)
    return Tokens(tokens.values[row : row + 1, :num_steps], tokens.mask[row : row + 1, :num_steps])


def with_junk(tokens: Mapping[str, Tokens]) -> dict[str, Tokens]:
    """The same tokens with other values at masked positions."""
    return {
        name: Tokens(torch.where(t.mask.unsqueeze(-1), t.values, 1e3 * torch.randn_like(t.values)), t.mask)
        for name, t in tokens.items()
    }


def check_rows_alone(together: Tokens, alone: Callable[[int], Tokens]) -> None:
    """A row alone gives the result that it gives in its batch."""
    for row in range(len(together.mask)):
        same = same_tokens(row_of(alone(row), 0), row_of(together, row))
        expect(same, f"row {row} alone gives another result than in its batch: rows mix, or padding shows")


def same_tokens(first: Tokens, second: Tokens) -> bool:
    """Equal masks, and near values wherever they are real."""
    return torch.equal(first.mask, second.mask) and near(first.values[first.mask], second.values[second.mask])


def near(first: Tensor, second: Tensor) -> bool:
    """Equal up to the tolerance."""
    return torch.allclose(first, second, rtol=TOLERANCE, atol=TOLERANCE)


def same_json(first: object, second: object) -> bool:
    """Equal as JSON values."""
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def expect(condition: bool, otherwise: str) -> None:
    """Raises AssertionError with these words unless the condition holds."""
    if not condition:
        raise AssertionError(otherwise)
