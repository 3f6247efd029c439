"""Finds classes that are probably missing cells, written out by a program: `nan`, `None`, `NULL`."""

from __future__ import annotations

from collections.abc import Collection

from polymodal.codecs.numerals import NULL_WORDS

ADVICE = "If such cells are missing, empty them: their rows are then left out."


def null_classes(names: Collection[str]) -> list[str]:
    """The classes that say there is no value, beside others that do not.

    Not `None` beside other words with a capital letter, nor `NA` beside other short words of capitals: it then is a
    class such as they are.

    >>> null_classes(["nan", "yes", "no"]), null_classes(["None", "Mild", "Severe"]), null_classes(["NA", "EU"])
    (['nan'], [], [])
    """
    null = [name for name in names if name in NULL_WORDS]
    others = [name for name in names if name not in NULL_WORDS]
    if any(name.istitle() for name in others):
        null = [name for name in null if name != "None"]
    if any(name.isupper() and len(name) <= 3 for name in others):
        null = [name for name in null if name != "NA"]
    return null if others else []
