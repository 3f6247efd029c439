"""Vector fusions written out for one row, in float64 NumPy: no batch, no mask, an absent input is None.

Each function takes the weights by their name in the state_dict, the row ({input: tokens "T D" or None}) and the
settings, and gives the fused vector. The names of the inputs are in order.
"""

import math
from itertools import combinations, product

import numpy as np

Weights = dict[str, np.ndarray]
Row = dict[str, np.ndarray | None]


def vectors(weights: Weights, row: Row, where: str) -> list[np.ndarray | None]:
    """Every input pooled; normed and projected where the weights for it are there."""
    return [
        None if tokens is None else entered(weights, f"{where}.projections.{place}", tokens.mean(axis=0))
        for place, tokens in enumerate(row.values())
    ]


def entered(weights: Weights, where: str, vector: np.ndarray) -> np.ndarray:
    if f"{where}.norm.weight" in weights:
        vector = norm(weights, f"{where}.norm", vector)
    return linear(weights, f"{where}.linear", vector) if f"{where}.linear.weight" in weights else vector


def norm(weights: Weights, where: str, vector: np.ndarray) -> np.ndarray:
    deviation = math.sqrt(((vector - vector.mean()) ** 2).mean() + 1e-5)
    return (vector - vector.mean()) / deviation * weights[f"{where}.weight"] + weights[f"{where}.bias"]


def linear(weights: Weights, where: str, vector: np.ndarray) -> np.ndarray:
    rows = weights[f"{where}.weight"]
    return np.array([sum(a * b for a, b in zip(row, vector, strict=True)) for row in rows]) + weights[f"{where}.bias"]


def sigmoid(values: np.ndarray) -> np.ndarray:
    return np.array([1 / (1 + math.exp(-value)) for value in values])


def given(found: list[np.ndarray | None]) -> list[np.ndarray]:
    return [vector for vector in found if vector is not None]


def zeros_for_none(weights: Weights, where: str, row: Row, widths: dict[str, int]) -> list[np.ndarray]:
    found = vectors(weights, row, where)
    projected = [len(weights.get(f"{where}.projections.{k}.linear.bias", ())) for k in range(len(found))]
    return [
        np.zeros(size or width) if vector is None else vector
        for vector, size, width in zip(found, projected, widths.values(), strict=True)
    ]


def concat(weights, row, widths, settings):
    found = vectors(weights, row, "stack")
    return np.concatenate([weights["absent"][k] if v is None else v for k, v in enumerate(found)])


def average(weights, row, widths, settings):
    factors = [settings.get("weights", {}).get(name, 1.0) for name, tokens in row.items() if tokens is not None]
    found = given(vectors(weights, row, "stack"))
    return sum(factor * vector for factor, vector in zip(factors, found, strict=True)) / sum(factors)


def sum_(weights, row, widths, settings):
    return sum(given(vectors(weights, row, "stack")))


def product_(weights, row, widths, settings):
    result = 1.0
    for vector in given(vectors(weights, row, "stack")):
        result = result * vector
    return result


def max_(weights, row, widths, settings):
    return np.array([max(numbers) for numbers in zip(*given(vectors(weights, row, "stack")), strict=True)])


def weighted(weights, row, widths, settings):
    found = vectors(weights, row, "stack")
    powers = [math.exp(score) for score, v in zip(weights["scores"], found, strict=True) if v is not None]
    return sum(power / sum(powers) * vector for power, vector in zip(powers, given(found), strict=True))


def polynomial(weights, row, widths, settings):
    """Term by term; those that hold an absent input are left out."""
    found = vectors(weights, row, "stack")
    degree = settings.get("degree") or len(found)
    sets = [chosen for size in range(1, degree + 1) for chosen in combinations(range(len(found)), size)]
    result = weights["bias"] + np.zeros(len(given(found)[0]))
    for chosen, coefficient in zip(sets, weights["coefficients"], strict=True):
        if all(found[k] is not None for k in chosen):
            result = result + coefficient * math.prod(found[k] for k in chosen)
    return result


def gated(weights, row, widths, settings):
    found = vectors(weights, row, "inputs")
    joined = np.concatenate(zeros_for_none(weights, "inputs", row, widths))
    scores = linear(weights, "gates", joined)
    if len(found) == 2:
        first = sigmoid(scores)
        gates = np.stack([first, 1 - first])
    else:
        gates = sigmoid(scores).reshape(len(found), -1)
    project = settings.get("project", True)
    result, let_through = 0.0, 0.0
    for k, vector in enumerate(found):
        if vector is not None:
            h = np.tanh(linear(weights, f"candidates.{k}.0", vector)) if project else vector
            result, let_through = result + gates[k] * h, let_through + gates[k]
    return result * gates.sum(axis=0) / let_through


def bilinear(weights, row, widths, settings):
    found = zeros_for_none(weights, "inputs", row, widths)
    if settings.get("context"):
        found.insert(0, found.pop(list(row).index(settings["context"])))
    if settings.get("form", "matrix") == "matrix":
        result = linear(weights, "interaction.linear", np.concatenate(found))
        for place, (z, x) in enumerate(combinations(found, 2)):
            tensor = weights[f"interaction.weights.{place}"].reshape(len(z), len(x), -1)
            for n, m in product(range(len(z)), range(len(x))):
                result = result + z[n] * tensor[n, m] * x[m]
        return result
    result = linear(weights, "interaction.shift", found[0]) + np.zeros(len(found[-1]))
    for place, x in enumerate(found[1:]):
        before = np.concatenate(found[: place + 1])
        result = result + x * linear(weights, f"interaction.factors.{place}", before)
    return result


def tensor(weights, row, widths, settings):
    extended = [[1.0, *vector] for vector in zeros_for_none(weights, "inputs", row, widths)]
    return linear(weights, "linear", np.array([math.prod(chosen) for chosen in product(*extended)]))


def low_rank(weights, row, widths, settings):
    extended = [np.array([1.0, *vector]) for vector in zeros_for_none(weights, "inputs", row, widths)]
    result = weights["bias"]
    for r, weight in enumerate(weights["weights"]):
        factors = [vector @ weights[f"factors.{k}"][r] for k, vector in enumerate(extended)]
        result = result + weight * math.prod(factors)
    return result


def mixture(weights, row, widths, settings):
    found = vectors(weights, row, "inputs")
    scores = linear(weights, "gate", np.concatenate(zeros_for_none(weights, "inputs", row, widths)))
    said, powers = [], []
    for k, vector in enumerate(found):
        if vector is not None:
            powers.append(math.exp(scores[k]))
            said.append(_expert(weights, f"experts.{k}", vector) if settings.get("project", True) else vector)
    return sum(power / sum(powers) * words for power, words in zip(powers, said, strict=True))


def _expert(weights, where, vector):
    if f"{where}.0.blocks.0.0.weight" in weights:
        hidden = norm(weights, f"{where}.0.blocks.0.1", linear(weights, f"{where}.0.blocks.0.0", vector))
        vector = np.array([0.5 * v * (1 + math.erf(v / math.sqrt(2))) for v in hidden])
    return linear(weights, f"{where}.1", vector)
