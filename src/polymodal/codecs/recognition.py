"""Says whether a column holds media, by the first bytes of its files, or by the shape of its arrays.

Arrays of sound must be told from vectors of measurements: both are long rows of numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

import numpy as np

from polymodal.codecs import embedded
from polymodal.codecs import sniffing as formats
from polymodal.protocols import Recognition, Sample

LOUDEST = 2.0  # of float samples: some overshoot is clipped, 16-bit values stored as float are not sound
MOST_CHANNELS = 64  # of arrays: more, and the axes are probably swapped
_SHORTEST = 400  # samples
_SAME_LENGTH = 0.9  # share of the arrays; recordings are rarely cut so alike
_ALIKE = 0.25  # correlation between neighbours: of sound nearly 1, of noise and of embeddings nearly 0


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
    as_text = any(isinstance(value, str) and embedded.head(value) is not None for value in sample.values)
    named = any(isinstance(value, str) for value in sample.values)
    verb = "hold, as text, bytes" if as_text else "name files" if named else "hold bytes"
    names = " or ".join(sorted({format_.name for format_ in found}))
    what = f"{verb} that start as {names}" if len(found) >= num_arrays else f"are arrays of {arrays}"
    return Recognition(0.5 + 0.5 * count / num_cells, f"{count} of {num_cells} sampled cells {what}")


def is_waveform(array: np.ndarray) -> bool:
    """Whether an array has the shape and type of samples: [S] or [S, C], int16 or float."""
    shape = array.ndim == 1 or (array.ndim == 2 and 1 <= array.shape[1] <= MOST_CHANNELS)
    return shape and (array.dtype == np.int16 or np.issubdtype(array.dtype, np.floating))


def count_sounds(cells: Sequence[object]) -> int:
    """How many cells of a column are arrays of sound.

    Such arrays have more than 400 samples, of 16-bit integers or of floats within +-2. Where nine of ten have one
    length, as embeddings do, neighbouring samples must be alike, too.
    """
    arrays = [cell for cell in cells if isinstance(cell, np.ndarray) and is_waveform(cell) and len(cell) > _SHORTEST]
    arrays = [array for array in arrays if array.dtype == np.int16 or np.abs(np.nan_to_num(array)).max() <= LOUDEST]
    most = max(Counter(map(len, arrays)).values(), default=0)
    if most < _SAME_LENGTH * len(arrays):
        return len(arrays)
    return sum(array.ndim == 2 or _neighbours(array) > _ALIKE for array in arrays)


def _neighbours(array: np.ndarray) -> float:
    """Correlation between each sample and the next; 0 where they are all one."""
    centred = np.nan_to_num(array.astype(np.float64))
    centred -= centred.mean()
    power = float(centred @ centred)
    return float(centred[:-1] @ centred[1:]) / power if power else 0.0
