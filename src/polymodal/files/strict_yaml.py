"""Reads YAML, and refuses what YAML lets pass in silence."""

from __future__ import annotations

from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML in which a key twice in one mapping is an error; PyYAML would let the last of them win."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        mapping: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in mapping.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        problem=f"the key {key.value!r} appears twice", problem_mark=key.start_mark
                    )
                seen.add(key.value)
        return mapping


def parse(text: str) -> Any:
    """The value that YAML stands for.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: it is no YAML, holds a key twice or an impossible date.
    """
    return yaml.load(text, _Loader)  # noqa: S506 - the safe loader, made stricter
