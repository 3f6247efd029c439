"""Says why the media of a column cannot be read: addresses, absent files, or files of formats that are not read."""

from __future__ import annotations

import mimetypes
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from polymodal.codecs import embedded, pictures
from polymodal.codecs import sniffing as formats
from polymodal.data.cells.absent import Absence, path_in_markup, why_absent
from polymodal.data.cells.paths import ADDRESS, locate
from polymodal.data.columns.examples import example
from polymodal.errors import UnreadableCellError
from polymodal.protocols import Sample

UNREAD = "unread"  # kind of such a column
_NEARLY_ALL = 0.98
_ASKED = 8  # names of which a file is looked for
_PATH = re.compile(r"[^\s/\\][^\s\\]*/[^\s/\\]+")
_MEDIA = ("image", "audio", "video")


def why_unread(seen: Sample, folder: Path) -> str | None:
    """Why the media of a column cannot be read, and what to do; None where they can, or where it holds none."""
    return None if seen.only_numbers else _of_unread_format(seen) or _of_absent_files(seen, folder)


def why_no_media(seen: Sample) -> str | None:
    """What the files are that a column names, where no modality reads them; None where it names none."""
    names = Counter(found.name for head in seen.heads if head and (found := formats.sniff(head)) is not None)
    if 2 * names.total() < max(1, len(seen.values)):
        return _of_unknown_format(seen)
    name, count = names.most_common(1)[0]
    files = f"{count} of {len(seen.values)} sampled cells {_verb(seen)} that look like {name}, which is not read"
    if name == formats.PLAIN_TEXT.name:
        return f"{files}: put the text itself into the cells"
    return f"{files}: convert pictures to PNG; of documents, put the text into the cells"


def _of_unread_format(seen: Sample) -> str | None:
    heads = [head for of_cell in (seen.several or ()) if (head := next(iter(of_cell), None))]
    heads += [head for head in seen.heads if head]
    found = [format_ for head in heads if (format_ := formats.sniff(head)) is not None]
    unread = [format_ for format_ in found if format_.remedy and format_ not in pictures.FORMATS]
    if not unread or 2 * len(unread) < len(seen.values) or 2 * len(unread) <= len(found):
        return None
    names = Counter(format_.name for format_ in unread)
    shown = " or ".join(sorted(names))
    remedy = next(format_.remedy for format_ in unread if format_.name == names.most_common(1)[0][0])
    return f"{len(unread)} of {len(seen.values)} sampled cells {_verb(seen)} of {shown}, which is not read: {remedy}"


def _of_unknown_format(seen: Sample) -> str | None:
    heads = [head for head in seen.heads if head]
    if not heads or 2 * len(heads) < len(seen.values):
        return None
    files = f"{len(heads)} of {len(seen.values)} sampled cells {_verb(seen)} of a format that is not known"
    return f"{files}, which begin with the bytes {heads[0][:4].hex(' ')}: convert them to a format that is read"


def _of_absent_files(seen: Sample, folder: Path) -> str | None:
    """Names of media of which none is there: else a wrong folder would make them a text."""
    names = [str(value).strip() for value in seen.values if isinstance(value, str | Path)]
    media = sum(_is_named_media(path_in_markup(name) or name) for name in names)
    if any(seen.heads) or any(map(any, seen.several)):
        return None
    keys = len(names) < len(seen.values) or not _lack_endings(names, folder)
    if media < _NEARLY_ALL * len(seen.values) and keys:
        return None
    first = example(seen.values[0])
    if 2 * sum(bool(ADDRESS.match(name)) for name in names) >= len(names):
        return (
            f"cells such as {first} are addresses, and nothing is fetched: download the files and put their paths into "
            "the cells"
        )
    cause, near = _cause(names[0], folder)
    there = f", though {example(near)} is there" if near else ""
    return f"cells such as {first} name no file in {folder}, where paths are relative to{there}: {cause}"


def _is_named_media(name: str) -> bool:
    kind = mimetypes.guess_type(_without_query(name))[0] or ""
    return kind.partition("/")[0] in _MEDIA


def _lack_endings(names: Sequence[str], folder: Path) -> bool:
    """Whether paths such as `img/0` are meant, where `img/0.png` is; without a folder they may well be keys."""
    some = names[:: 1 + len(names) // _ASKED]
    if not all(_PATH.fullmatch(name) for name in some):
        return False
    found = [why_absent(name, folder) for name in some]
    return all(one and one.near and one.near.startswith(name) for one, name in zip(found, some, strict=True))


def _cause(name: str, folder: Path) -> Absence:
    """Why the first of the names may name no file, and what to do."""
    if (found := why_absent(name, folder)) is not None:
        return found
    try:
        locate(name, folder)
    except UnreadableCellError as error:  # such as a path of another system
        return Absence(str(error).removeprefix("no such file: "))
    return Absence("check them")


def _without_query(name: str) -> str:
    is_path = ADDRESS.match(name) or (name.count("?") == 1 and not re.search(r"\s", name))
    return name.partition("?")[0].partition("#")[0] if is_path else name


def _verb(seen: Sample) -> str:
    if any(isinstance(value, str) and embedded.head(value) is not None for value in seen.values):
        return "hold, as text, files"
    return "name files" if any(isinstance(value, str | Path) for value in seen.values) else "hold files"
