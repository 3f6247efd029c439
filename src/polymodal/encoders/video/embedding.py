"""Embedding video encoder: a linear layer on each patch of every frame, for early fusion."""

from __future__ import annotations

from typing import ClassVar

from polymodal.layers.patches import PatchEmbedding


class Embedding(PatchEmbedding):
    """Clips UInt8 "N T 3 H W" -> a token for each square of each of the frames; squares do not see each other."""

    ordered: ClassVar[bool] = True
