"""Fingerprints of pictures and sounds: near duplicates have nearly equal ones, other cells do not.

A fingerprint is a vector of length 1, so that the product of two is their cosine; it is zero where a cell has nothing
to compare, as a blank page or silence.
"""

from __future__ import annotations

import numpy as np
import PIL.Image
from jaxtyping import Float32, Int16, UInt8

_SIDE = 25  # pixels of the small picture whose steps are compared
_FAINT = 0.5  # grey levels: weaker steps are noise of the coding
_TIMES, _BANDS = 32, 16
_FLOOR = 1e-5  # of the loudest band's power (-50 dB): below it lies what a codec drops
_FLAT = 0.1  # nepers: a sound whose spectrum moves less has no shape
_SHORTEST = 2 * _BANDS  # samples of one of the times


def picture(pixels: UInt8[np.ndarray, "H W 3"]) -> Float32[np.ndarray, " F"]:
    """The steps of brightness from pixel to pixel, rightwards and downwards, of the picture at 25 x 25.

    dHash (Neal Krawetz, "Kind of Like That", 2013) keeps the signs of such steps; here their sizes count too, because
    signs say nothing where a drawing is plain. Scaling, coding anew, brightness and contrast hardly change it.
    """
    grey = PIL.Image.fromarray(pixels).convert("L").resize((_SIDE, _SIDE), PIL.Image.Resampling.BOX)
    values = np.asarray(grey, dtype=np.float32)
    steps = np.concatenate([np.diff(values, axis=1).ravel(), np.diff(values, axis=0).ravel()])
    return _unit(steps, faint=_FAINT)


def sound(samples: Int16[np.ndarray, " S"]) -> Float32[np.ndarray, " F"]:
    """How the loudness of 16 octave-like bands moves over 32 equal times of the recording, in logarithms.

    The mean of each band is taken away: gain and the tone of a microphone hardly change it.
    """
    width = len(samples) // _TIMES
    if width < _SHORTEST:
        return np.zeros(_TIMES * _BANDS, dtype=np.float32)
    frames = samples[: width * _TIMES].astype(np.float32).reshape(_TIMES, width) * np.hanning(width).astype(np.float32)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    edges = np.unique(np.geomspace(1, power.shape[1], _BANDS + 1).astype(int))
    bands = np.add.reduceat(power, edges[:-1], axis=1)
    bands = np.log(bands + _FLOOR * bands.max() + 1e-9)
    shape = np.zeros((_TIMES, _BANDS), dtype=np.float32)
    shape[:, : bands.shape[1]] = bands - bands.mean(axis=0)
    return _unit(shape.ravel(), faint=_FLAT)


def _unit(values: np.ndarray, *, faint: float) -> Float32[np.ndarray, " F"]:
    """At length 1; zero where the values, by their root mean square, are faint."""
    length = float(np.linalg.norm(values))
    if length < faint * np.sqrt(values.size):
        return np.zeros(values.size, dtype=np.float32)
    return (values / length).astype(np.float32)
