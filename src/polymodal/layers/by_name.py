"""Modules by any name: `nn.ModuleDict` refuses dots and names such as `keys` or `type`, which real columns have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from torch import nn


class ByName(nn.Module):
    """A mapping of modules, in the order of their names; parameters are numbered by that order.

    One module under several names is held, saved and numbered once.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.names = sorted(modules)
        distinct = dict.fromkeys(modules[name] for name in self.names)
        self.parts = nn.ModuleList(distinct)
        places = {module: place for place, module in enumerate(distinct)}
        self._place = {name: places[modules[name]] for name in self.names}

    def __getitem__(self, name: str) -> nn.Module:
        return self.parts[self._place[name]]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def values(self) -> Iterator[nn.Module]:
        """The modules, in the order of their names."""
        return (self[name] for name in self.names)

    def items(self) -> Iterator[tuple[str, nn.Module]]:
        """Names and modules, in the order of the names."""
        return zip(self.names, self.values(), strict=True)
