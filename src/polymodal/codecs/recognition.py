"""Says whether a column holds media, by the first bytes of its files, or by the shape of its arrays."""

from __future__ import annotations

from collections.abc import Collection

from polymodal.codecs import sniffing as formats
from polymodal.protocols import Recognition, Sample


def recognise_media(
    sample: Sample, family: str, known: Collection[formats.Format], *, num_arrays: int, arrays: str
) -> Recognition | None:
    """From half of the cells on: files or bytes of known formats that hold `image`, `audio` or `video`, or arrays.

    Of these `num_arrays` have the right shape, and are arrays of what `arrays` says.
    """
    heads = [head for head in sample.heads if head and formats.holds(head) == family]
    found = [format_ for head in heads if (format_ := formats.sniff(head)) in known and format_]
    num_cells = len(sample.values)
    count = max(len(found), num_arrays)
    if 2 * count < max(num_cells, 1):
        return None
    verb = "name files" if any(isinstance(value, str) for value in sample.values) else "hold bytes"
    names = " or ".join(sorted({format_.name for format_ in found}))
    what = f"{verb} that start as {names}" if len(found) >= num_arrays else f"are arrays of {arrays}"
    return Recognition(0.5 + 0.5 * count / num_cells, f"{count} of {num_cells} sampled cells {what}")
