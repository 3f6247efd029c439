"""The glossary explains every stage, task, modality, metric and family of fusions, in alphabetical order."""

import re
import unicodedata
from pathlib import Path

import pytest

from polymodal import registry

DOCS = Path(__file__).parents[2] / "docs"
GLOSSARY = (DOCS / "reference/glossary.md").read_text(encoding="utf-8")


def built_in(kind: str) -> list[str]:
    """The parts of a kind, without those of plug-ins."""
    return [name for name in registry.names(kind) if registry.load(kind, name).__module__.startswith("polymodal.")]


@pytest.mark.parametrize("kind", ["modalities", "stages", "tasks"])
def test_every_modality_stage_and_task_is_explained(kind):
    entries = re.findall(r"^- \*\*.+?:", GLOSSARY, flags=re.MULTILINE)
    missing = [name for name in built_in(kind) if not any(f"`{name}`" in entry for entry in entries)]
    assert missing == []


def test_every_metric_is_explained():
    metrics = {metric for name in built_in("tasks") for metric in registry.load("tasks", name).greater_is_better}
    assert {metric for metric in metrics if f"`{metric}`" not in GLOSSARY} == set()


def test_every_family_of_fusions_is_linked():
    pages = [page.name for page in (DOCS / "fusion").glob("*.md")]
    assert [page for page in pages if f"(../fusion/{page})" not in GLOSSARY] == []


def test_terms_are_in_alphabetical_order_below_their_letters():
    letters = re.split(r"^## ", GLOSSARY, flags=re.MULTILINE)[1:]
    order = []
    for section in letters:
        terms = [
            unicodedata.normalize("NFKD", term).casefold() for term in re.findall(r"^- \*\*(.+?)\*\*", section, re.M)
        ]
        assert terms and all(term.startswith(section[0].casefold()) for term in terms)
        order += terms
    assert order == sorted(order)
    assert len(order) == len(set(order))
