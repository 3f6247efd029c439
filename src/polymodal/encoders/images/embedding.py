"""Embedding encoder for lists of images: a linear layer on each patch of every image, for early fusion."""

from __future__ import annotations

from typing import ClassVar

from polymodal.layers.patches import PatchEmbedding


class Embedding(PatchEmbedding):
    """Lists of pictures UInt8 "N T 3 H W" -> a token for each square of each; squares do not see each other."""

    ordered: ClassVar[bool] = False
