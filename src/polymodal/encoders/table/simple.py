"""Simple features as one token, with nothing to learn: for linear models on top."""

from polymodal.layers.simple import Simple

__all__ = ["Simple"]
