"""What a training and an inspection say of a target that becomes classes, though its cells may be something else."""

from __future__ import annotations

from collections.abc import Sequence

from polymodal.config.run_config import Part, RunConfig
from polymodal.data.audit.finding import SHOWN, Finding
from polymodal.data.target.quantities import odd_target
from polymodal.metrics.alerts import Alert

_CLASSES = "classify"


def odd_classes(values: Sequence[object] | None, config: RunConfig, chosen: Part) -> Finding | None:
    """What is odd about the cells of one target; None where the user named the task, or it does not learn classes.

    Args:
        values: the target's cells by row.
        config: as the user gave it.
        chosen: the task.
    """
    if values is None or config.task.name is not None or chosen.name != _CLASSES or len(config.targets) != 1:
        return None
    odd = odd_target(values)
    if odd is None:
        return None
    count = len(odd.rows) or None
    return Finding(
        "writing", "warning", odd.what, odd.advice, columns=(config.targets[0],), count=count, rows=odd.rows[:SHOWN]
    )


def alerts_of(finding: Finding | None) -> tuple[Alert, ...]:
    """The same as a run says it."""
    return () if finding is None else (Alert(kind="writing", columns=finding.columns, text=str(finding)),)
