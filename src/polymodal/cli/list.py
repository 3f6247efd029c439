"""`polymodal list`: the names of the parts that are installed, with those of other packages."""

from __future__ import annotations

from typing import Annotated

import typer

from polymodal import registry
from polymodal.cli.terminal import say
from polymodal.errors import UsageError, did_you_mean


def list_parts(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of: {', '.join(registry.KINDS)}.")],
) -> None:
    """List the names of all modalities, encoders, fusions, tasks or datasets."""
    if kind not in registry.KINDS:
        known = ", ".join(registry.KINDS)
        raise UsageError(
            f"There are no parts of the kind {kind!r}.{did_you_mean(kind, registry.KINDS)} Known: {known}."
        )
    for name in registry.names(kind):
        if kind == "encoders":  # their names are those of one modality's encoders
            for encoder in registry.names(f"encoders/{name}"):
                say(f"{name}/{encoder}")
        else:
            say(name)
