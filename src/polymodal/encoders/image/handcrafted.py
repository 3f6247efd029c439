"""Handcrafted features as one token, with nothing to learn: for linear models on top."""

from polymodal.layers.handcrafted import Handcrafted

__all__ = ["Handcrafted"]
