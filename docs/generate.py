"""Writes the generated parts of the reference pages: `python docs/generate.py`; a test finds pages that are stale.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; whatever is around it is written by hand.
The pages of `docs/notebooks` but the first are wholly generated, from the notebooks of `examples/notebooks`.
"""

from __future__ import annotations

import inspect
import json
import re
import runpy
import statistics
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import typer
from pydantic import TypeAdapter

from polymodal import registry
from polymodal.config.run_config import RunConfig
from polymodal.pipeline import defaults
from polymodal.protocols import Advice

DOCS = Path(__file__).parent
PAGES = [*sorted((DOCS / "reference").glob("*.md")), DOCS / "fusion/index.md", DOCS / "benchmarks.md"]
FIGURES = DOCS.parent / "benchmarks"
_PART = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)

_PART_REFERENCE = "#/$defs/Part"

Json = dict[str, Any]


def generated(page: str) -> str:
    """The text of a page with its generated parts as they should be."""

    def fresh(found: re.Match[str]) -> str:
        return f"{found[1]}\n{PARTS[found[2]]().strip()}\n\n{found[3]}"

    return _PART.sub(fresh, page)


def run_keys() -> str:
    """Every key of `RunConfig`, by its path."""
    schema = TypeAdapter(RunConfig).json_schema()
    return _table(("key", "takes", "default", "meaning"), _keys(schema, schema["$defs"], ""))


def part_keys() -> str:
    """The settings of every part that comes with Polymodal."""
    sections = []
    for kind in (
        "modalities",
        *(f"encoders/{name}" for name in registry.names("encoders")),
        "fusions",
        "stages",
        "tasks",
    ):
        title = "Encoders of " + kind.split("/")[1] if "/" in kind else kind.capitalize()
        sections.append(f"## {title}")
        for name in registry.names(kind):
            part = registry.load(kind, name)
            if not part.__module__.startswith("polymodal."):  # a plug-in that happens to be installed
                continue
            schema = TypeAdapter(part.Config).json_schema()
            rows = _keys(schema, schema.get("$defs", {}), "", _inherited(part.Config))
            sections += [f"### `{name}`", _summary(part), _table(("setting", "takes", "default", "meaning"), rows)]
    return "\n\n".join(sections)


def fusions() -> str:
    """Every fusion that comes with Polymodal: what it is, its size, and what an absent input does."""
    rows = []
    for name in registry.names("fusions"):
        fusion = registry.load("fusions", name)
        if fusion.__module__.startswith("polymodal."):
            built = fusion(fusion.Config(), widths={"image": 128, "audio": 128, "text": 128})
            learned = sum(parameter.numel() for parameter in built.parameters())
            rows.append((f"`{name}`", _summary(fusion), f"{learned:,}", fusion.when_absent))
    return _table(("fusion", "what it is", "learned", "an absent input"), rows)


def default_lines() -> str:
    """The table of defaults."""
    inputs = list(defaults.TABLE[0].encoders)
    rows = [
        (
            f"fewer than {line.rows:,}" if line.rows != float("inf") else "more",
            *map(str, (line.epochs, line.batch_size)),
            *(f"`{line.encoders[name]}`" for name in inputs),
        )
        for line in defaults.TABLE
    ]
    return _table(("training rows", "epochs, at most", "batch size", *inputs), rows)


def default_constants() -> str:
    """What does not depend on the number of rows."""
    constants = {
        "fusion.name": defaults.FUSION,
        "train.optimizer.lr": defaults.LR,
        "train.optimizer.weight_decay": defaults.WEIGHT_DECAY,
        "train.modality_dropout": defaults.MODALITY_DROPOUT,
        "train.auxiliary_loss": Advice().auxiliary_loss,
        "train.ensemble.members": ", ".join(defaults.MEMBERS),
    }
    return _table(("key", "default"), [(f"`{key}`", f"`{value}`") for key, value in constants.items()])


def advice() -> str:
    """What tasks advise otherwise."""
    tasks = {name: registry.load("tasks", name) for name in registry.names("tasks")}
    rows = [
        (f"`{name}`", f"{task.advice.epochs:g} times", f"{task.advice.lr:g} times",
         f"`{task.advice.auxiliary_loss:g}`")
        for name, task in tasks.items() if hasattr(task, "advice")
    ]  # fmt: skip
    columns = ("task", "epochs", "learning rate", "`train.auxiliary_loss`")
    return _table(columns, rows)


def accuracy() -> str:
    """Accuracy on the test rows of five tables, as `benchmarks/five_tables.py measure` left it."""
    log, rows, means = _figures("cases/results.json"), [], []
    for name, task in runpy.run_path(str(FIGURES / "tables.py"))["TASKS"].items():
        runs = [record for key, record in log.items() if key.startswith(f"{name} A ")]
        values = [run["accuracy"]["value"] for run in runs]
        means.append((statistics.mean(values), task.baseline))
        spread, seconds = statistics.stdev(values), statistics.mean(run["cpu_seconds"] for run in runs)
        baseline = f"{task.baseline:.3f} ± {task.standard_error:.3f}"
        each = ", ".join(f"{value:.3f}" for value in values)
        rows.append((name, f"**{means[-1][0]:.3f}**", f"{spread:.3f}", each, baseline, f"{seconds:.0f}"))
    ours, theirs = (f"{statistics.mean(column):.3f}" for column in zip(*means, strict=True))
    rows.append(("mean", f"**{ours}**", "", "", theirs, ""))
    return _table(("table", "accuracy", "deviation", "each seed", "baseline", "CPU seconds"), rows)


def choice() -> str:
    """How the settings were chosen, as `benchmarks/five_tables.py choose` left it."""
    log = _figures("five_tables/choice.json")
    rows = []
    for table, found in log["tables"].items():
        cells = (f"{a['value']:.3f} [{a['low']:.3f}, {a['high']:.3f}]" for a in found["accuracy"].values())
        rows.append((table, *cells))
    means = ((f"**{mean:.4f}**" if name == log["chosen"] else f"{mean:.4f}") for name, mean in log["means"].items())
    return _table(("table", *log["means"]), [*rows, ("mean", *means)])


def cases() -> str:
    """Accuracy on tables that were made harder, as `benchmarks/cases.py` left it."""
    found: dict[str, dict[str, list[Json]]] = {}
    for key, record in _figures("cases/results.json").items():
        name, case, _ = key.split()
        found.setdefault(name, {}).setdefault(case, []).append(record)
    rows = []
    for name, of_table in found.items():
        for case, records in sorted(of_table.items()):
            mean = {
                key: statistics.mean(record[key] for record in records)
                for key in ("linear", "best_single", "ece", "ece_by_chance")
            }
            accuracy = statistics.mean(record["accuracy"]["value"] for record in records)
            left_out = max(len(record["left_out"]) for record in records)
            figures = (f"{mean[key]:.3f}" for key in ("linear", "best_single", "ece", "ece_by_chance"))
            rows.append((name, case, str(len(records)), f"**{accuracy:.3f}**", *figures, str(left_out)))
    head = ("table", "case", "seeds", "accuracy", "linear", "best input", "ECE", "ECE by chance", "inputs left out")
    return _table(head, rows)


def public_tables() -> str:
    """R2 or area under the curve on public tables, as `benchmarks/public_tables.py` left it."""
    rows = []
    for name, runs in _figures("public_tables.json").items():
        figures = (
            f"{statistics.mean(run[key] for run in runs.values()):.3f}" for key in ("linear", "gradient_boosting")
        )
        values = [run["value"] for run in runs.values()]
        each = ", ".join(f"{value:.3f}" for value in values)
        seconds = statistics.mean(run["seconds"] for run in runs.values())
        rows.append((name, f"**{statistics.mean(values):.3f}**", each, *figures, f"{seconds:.0f}"))
    return _table(("table", "mean", "each seed", "linear", "gradient boosting", "seconds"), rows)


def default_speed() -> str:
    """CPU seconds and memory of trainings by default, as `benchmarks/default_speed.py` left them."""
    rows = []
    for name, found in _figures("default_speed.json").items():
        now, before = found["now"], found.get("before")
        figures = [f"{now['seconds']:.0f}", f"{now['megabytes']:,.0f}"]
        if before is None:
            rows.append((name, "", figures[0], "", "", figures[1]))
            continue
        ratio = f"**{now['seconds'] / before['seconds']:.2f}**"
        rows.append((name, f"{before['seconds']:.0f}", figures[0], ratio, f"{before['megabytes']:,.0f}", figures[1]))
    return _table(("table", "seconds before", "now", "ratio", "MB before", "now"), rows)


def wide_table() -> str:
    """CPU seconds and memory for a wide and a long table, as `benchmarks/wide_table.py` left them."""
    rows = []
    for name, found in _figures("wide_table.json").items():
        before, now = found["before"], found["now"]
        seconds = (f"{before['seconds']:.1f}", f"**{now['seconds']:.1f}**")
        rows.append((name, *seconds, f"{before['megabytes']:,.0f}", f"{now['megabytes']:,.0f}"))
    return _table(("command", "CPU seconds before", "now", "MB before", "now"), rows)


def texts() -> str:
    """Texts as outputs on real tables, as `benchmarks/texts.py` left them."""
    return _goals(goal for goals in _figures("texts.json").values() for goal in goals)


def generation() -> str:
    """Speed of writing texts, as `benchmarks/generation.py` left it."""
    return _goals(json.loads((FIGURES / "generation.json").read_text(encoding="utf-8")))


def commands() -> str:
    """Every command of the command line with its arguments and options."""
    from polymodal.cli.main import app

    return "\n\n".join(_commands(typer.main.get_command(app), "polymodal"))


def recipes() -> str:
    """The data sets that can be built."""
    found = {name: registry.load("datasets", name)() for name in registry.names("datasets")}
    rows = [(f"`{name}`", f"{it.rows:,}", it.title, it.source, it.licence) for name, it in found.items()]
    return _table(("name", "rows", "what", "built from", "licence"), rows)


PARTS: Mapping[str, Callable[[], str]] = {
    "run_keys": run_keys,
    "part_keys": part_keys,
    "fusions": fusions,
    "default_lines": default_lines,
    "default_constants": default_constants,
    "advice": advice,
    "commands": commands,
    "recipes": recipes,
    "accuracy": accuracy,
    "choice": choice,
    "cases": cases,
    "public_tables": public_tables,
    "default_speed": default_speed,
    "wide_table": wide_table,
    "texts": texts,
    "generation": generation,
}


def _goals(goals: Iterable[Json]) -> str:
    """What was measured against a goal, and the figures that belong to it."""
    rows = []
    for goal in goals:
        detail = ", ".join(f"{name} {value:,.3g}" for name, value in goal["detail"].items())
        bound = f"{'at most' if goal['at_most'] else 'at least'} {goal['bound']:,.3g}"
        missed = "" if goal["passed"] else ": missed"
        rows.append((goal["name"], f"**{goal['value']:,.3g}**", bound + missed, detail))
    return _table(("what", "measured", "goal", "beside it"), rows)


def _summary(part: Any) -> str:
    """The first paragraph of what a part's file says of it."""
    return (inspect.getdoc(inspect.getmodule(part)) or "").split("\n\n")[0].replace("\n", " ")


def _inherited(config: type) -> dict[str, str]:
    """What the classes that the settings inherit from say of theirs, those nearest by last."""
    bases = reversed(config.__mro__[1:])
    return {name: meaning for base in bases for name, meaning in _attributes(inspect.getdoc(base) or "").items()}


def _keys(
    schema: Json, definitions: Json, path: str, inherited: Mapping[str, str] | None = None
) -> Iterator[tuple[str, str, str, str]]:
    """One line for each key below a node; nodes that hold further keys stand for these."""
    meanings = {**(inherited or {}), **_attributes(schema.get("description", ""))}
    for name, node in schema["properties"].items():
        if (below := _settings(node, definitions)) is not None:
            yield from _keys(below, definitions, f"{path}{name}.")
        elif (below := _settings(node.get("additionalProperties"), definitions)) is not None:
            yield from _keys(below, definitions, f"{path}{name}.NAME.")
        else:
            default = node.get("default")
            if node.get("$ref") == _PART_REFERENCE and not (default or {}).get("name"):
                default = None  # the choice is left to the defaults
            yield f"`{path}{name}`", _takes(node), f"`{json.dumps(default)}`", meanings[name]


def _settings(node: object, definitions: Json) -> Json | None:
    """The schema of the further keys that a node holds; None for a value or a part."""
    reference = node.get("$ref", "") if isinstance(node, dict) else ""
    schema: Json = definitions.get(reference.rpartition("/")[2], {})
    return schema if "properties" in schema and reference != _PART_REFERENCE else None


def _takes(node: Json) -> str:
    """In words, which values a key takes."""
    match node:
        case {"anyOf": choices}:
            words = " or ".join(map(_takes, choices))
        case {"enum": names}:
            words = " or ".join(f"`{name}`" for name in names)
        case {"const": name}:
            words = f"`{name}`"
        case {"type": "array", "prefixItems": items}:
            words = f"list of {len(items)}: {_takes(items[0])}"
        case {"type": "array", "items": item}:
            words = f"list: {_takes(item)}"
        case {"type": "object", "additionalProperties": value}:
            words = f"mapping, name to {_takes(value)}"
        case {"type": "integer" | "number" as kind}:
            words = kind + _bounds(node, whole=kind == "integer")
        case {"type": "boolean"}:
            words = "`true` or `false`"
        case _:
            words = "a part" if node.get("$ref") == _PART_REFERENCE else str(node.get("type", "any value"))
    return words


def _bounds(node: Json, *, whole: bool) -> str:
    low, above = node.get("minimum"), node.get("exclusiveMinimum")
    if whole and above is not None:
        low, above = above + 1, None
    words = [f"from {low:,}"] if low is not None else [f"above {above:,}"] if above is not None else []
    words += [f"to {node['maximum']:,}"] if "maximum" in node else []
    words += [f"below {node['exclusiveMaximum']:,}"] if "exclusiveMaximum" in node else []
    return "".join(f" {word}" for word in words)


def _attributes(docstring: str) -> dict[str, str]:
    """The `Attributes` section of a docstring."""
    section = docstring.partition("Attributes:\n")[2]
    entries = re.findall(r"^    (\w+): (.*(?:\n {8,}.*)*)", section, re.MULTILINE)
    return {name: " ".join(meaning.split()) for name, meaning in entries}


def _commands(command: Any, name: str) -> Iterator[str]:
    """By what a command declares, not by its printed help, which differs between versions of typer and rich."""
    if hasattr(command, "commands"):
        for verb, below in command.commands.items():
            if not below.hidden:
                yield from _commands(below, f"{name} {verb}")
        return
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    yield f"## `{' '.join([name, *map(_placeholder, arguments)])}`"
    yield inspect.cleandoc(command.help or "")
    rows = [(f"`{_placeholder(argument)}`", "needed", argument.help or "") for argument in arguments]
    rows += [(_spelling(option), _default(option), option.help or "") for option in options if not option.hidden]
    if rows:
        yield _table(("argument or option", "default", "meaning"), rows)


def _placeholder(argument: Any) -> str:
    return str(argument.metavar or argument.name.upper())


def _spelling(option: Any) -> str:
    value = "" if option.is_flag else f" {_placeholder(option)}"
    return ", ".join(f"`{name}{value}`" for name in (*option.opts, *option.secondary_opts))


def _default(option: Any) -> str:
    """What holds where the option is not given; of a pair such as `--media`, `--no-media` the one that holds."""
    if option.required:
        return "needed"
    if option.secondary_opts:
        return f"`{option.opts[0] if option.default else option.secondary_opts[0]}`"
    if option.is_flag:
        return "on" if option.default else "off"
    return "–" if option.default is None else f"`{option.default}`"


def _figures(name: str) -> Json:
    return dict(json.loads((FIGURES / name).read_text(encoding="utf-8")))


def _table(head: tuple[str, ...], rows: Any) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    for file in PAGES:
        file.write_text(generated(file.read_text(encoding="utf-8")), encoding="utf-8")
    for file, content in runpy.run_path(str(DOCS / "notebook_pages.py"))["pages"]().items():
        file.write_bytes(content)
