"""Which inputs predict the target, by the tests on the training rows."""

from __future__ import annotations

from polymodal.metrics.results import InputTest
from polymodal.report.formatting import figure
from polymodal.report.subject import ReportedRun, Section

_MOST_INPUTS = 50


def inputs(subject: ReportedRun) -> Section | None:
    """A line for each input that was tested, the surest first; nothing where none was."""
    tests, schema = subject.results.input_tests, subject.run.bundle.schema
    if not tests:
        return None
    kept = {one.name for one in schema.inputs}
    ordered = sorted(tests.items(), key=lambda one: (not one[1].useful, one[1].p_value, one[0]))
    lines = [
        (name, of_p(found.p_value), of_p(found.p_together), _place(found, kept=name in kept))
        for name, found in ordered[:_MOST_INPUTS]
    ]
    target = "the target" if schema.target is None else schema.target.name or "the target"
    context = {"lines": lines, "num_inputs": len(tests)}
    return Section("inputs", f"Which inputs predict {target}", context, link="Input tests")


def of_p(p_value: float | None) -> str:
    """A p-value for people; a dash where there is none."""
    if p_value is None:
        return "–"
    return "< 0.001" if p_value < 0.001 else figure(p_value)


def _place(found: InputTest, *, kept: bool) -> str:
    if found.useful:
        return "in the model"
    place = "in the model all the same" if kept else "left out"
    return place if found.copy_of is None else f"{place}, a copy of {found.copy_of}"
