"""Modules by any name: `nn.ModuleDict` refuses dots and names such as `keys` or `type`, which real columns have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from torch import nn

_Module = TypeVar("_Module")  # modules by what they are used as: a Protocol is no nn.Module


class ByName(nn.Module, Generic[_Module]):
    """A mapping of modules, in the order of their names; parameters are numbered by that order.

    One module under several names is held, saved and numbered once.
    """

    def __init__(self, modules: Mapping[str, _Module]) -> None:
        super().__init__()
        self.names = sorted(modules)
        distinct: dict[Any, int] = {}
        self._place = {name: distinct.setdefault(modules[name], len(distinct)) for name in self.names}
        self.parts = nn.ModuleList(distinct)

    def __getitem__(self, name: str) -> _Module:
        module: Any = self.parts[self._place[name]]
        handed_in: _Module = module
        return handed_in

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def values(self) -> Iterator[_Module]:
        """The modules, in the order of their names."""
        return (self[name] for name in self.names)

    def items(self) -> Iterator[tuple[str, _Module]]:
        """Names and modules, in the order of the names."""
        return zip(self.names, self.values(), strict=True)
