"""A figure, and what it should be."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Goal:
    """One measured figure with its bound.

    Attributes:
        at_most: the bound is an upper one; else a lower one.
        detail: figures that the value was made of.
    """

    name: str
    value: float
    bound: float
    unit: str
    at_most: bool
    detail: dict[str, float]

    @property
    def passed(self) -> bool:
        return self.value <= self.bound if self.at_most else self.value >= self.bound

    def record(self) -> dict[str, object]:
        """JSON values, with `passed`."""
        return {**asdict(self), "passed": self.passed}

    def __str__(self) -> str:
        detail = ", ".join(f"{name} {value:.4g}" for name, value in self.detail.items())
        sign = "<=" if self.at_most else ">="
        word = "reached" if self.passed else "MISSED"
        return f"{self.name}: {self.value:.3g} {self.unit} (goal {sign} {self.bound:g}: {word}; {detail})"
