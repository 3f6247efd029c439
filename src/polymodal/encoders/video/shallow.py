"""Clips nearly raw: a linear layer on each square of all frames, for a joint encoder to read."""

from __future__ import annotations

from typing import ClassVar

from polymodal.layers.patches import ShallowPictures


class Shallow(ShallowPictures):
    """Clips UInt8 "N T 3 H W" -> a token for each square of each of the frames; squares do not see each other."""

    ordered: ClassVar[bool] = True
