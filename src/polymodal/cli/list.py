"""`polymodal list`: the parts that are installed, with those of other packages, and what they say of themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Annotated

import typer

from polymodal import registry
from polymodal.cli.terminal import tabulate
from polymodal.errors import UsageError, did_you_mean


def list_parts(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of: {', '.join(registry.KINDS)}.")],
) -> None:
    """List all modalities, encoders, fusions, stages, tasks, datasets or bundle members, and what each is."""
    if kind not in registry.KINDS:
        known = ", ".join(registry.KINDS)
        raise UsageError(
            f"There are no parts of the kind {kind!r}.{did_you_mean(kind, registry.KINDS)} Known: {known}."
        )
    if kind == "fusions":
        tabulate(("name", "what it is", "keeps time", "an absent input"), _fusions())
    else:
        tabulate(("name", "what it is"), _parts(kind))


def _parts(kind: str) -> Iterator[tuple[str, str]]:
    if kind != "encoders":
        for name in registry.names(kind):
            yield name, _summary(_parsed(kind, name))
        return
    for modality in registry.names(kind):  # encoders are named within their modality
        for name in registry.names(f"encoders/{modality}"):
            yield f"{modality}/{name}", _summary(_parsed(f"encoders/{modality}", name))


def _fusions() -> Iterator[tuple[str, str, str, str]]:
    for name in registry.names("fusions"):
        module = _parsed("fusions", name)
        facts = _facts(module)
        yield name, _summary(module), facts.get("keeps_time", ""), facts.get("when_absent", "")


def _parsed(kind: str, name: str) -> ast.Module:
    """The code of a part, read and not run: some parts import for seconds."""
    path = registry.source(kind, name)
    try:
        return ast.parse(path.read_bytes()) if path else ast.Module([], [])
    except (OSError, SyntaxError, ValueError):  # compiled, or broken: then it is listed by its name alone
        return ast.Module([], [])


def _summary(module: ast.Module) -> str:
    """The first paragraph of what a part says of itself."""
    return " ".join((ast.get_docstring(module) or "").split("\n\n")[0].split())


def _facts(module: ast.Module) -> dict[str, str]:
    """What the class says by the attributes `keeps_time` and `when_absent`, in words."""
    facts = {}
    nodes = [node for of_module in module.body if isinstance(of_module, ast.ClassDef) for node in of_module.body]
    for node in nodes:
        match node:
            case (
                ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value))
                | ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=value))
            ):
                facts[name] = value if isinstance(value, str) else "yes" if value else "no"
            case ast.FunctionDef(name="keeps_time"):  # a property: it depends on the settings
                facts["keeps_time"] = "if set"
    return facts
