"""Speaks words with the eSpeak NG library: a program of its own, started by `_speech`.

The library is one big global state: not thread-safe, it sets the process's locale, may end the process, and what it
says depends on what it said before. A process that lives for one job makes it harmless and its speech repeatable. Only
the standard library is imported, so the process starts in milliseconds.

    python _espeak.py LIBRARY DATA < utterances.json > speech

Speech is a sequence of little-endian numbers: the sample rate (uint32), then for each utterance the number of samples
(uint32) and the samples (int16).
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys

# Constants of espeak-ng/speak_lib.h.
SYNCHRONOUS = 2  # espeak_Synth returns when everything is said
DONT_EXIT = 0x8000
RATE, PITCH = 1, 3
UTF8 = 1

Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The library, opened for good: the end of the process frees it."""

    def __init__(self, library: str, data: str) -> None:
        self._library = ctypes.CDLL(library)
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p,  # text
            ctypes.c_size_t,  # its size with the closing zero
            ctypes.c_uint,  # position to start at
            ctypes.c_int,  # unit of the position
            ctypes.c_uint,  # position to end at; 0: the end
            ctypes.c_uint,  # flags
            ctypes.c_void_p,  # identifier
            ctypes.c_void_p,  # user data
        ]
        self.sample_rate: int = self._library.espeak_Initialize(SYNCHRONOUS, 0, os.fsencode(data), DONT_EXIT)
        if self.sample_rate <= 0:
            sys.exit(f"no voices in {data}")
        self._heard = bytearray()
        self._callback = Callback(self._hear)  # the library keeps a bare pointer to it: it must outlive the calls
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(0))  # of the noise in breathy voices

    def say(self, text: str, *, voice: str, rate: int, pitch: int) -> bytes:
        """Samples (int16) of a text.

        Args:
            text: what to say.
            voice: language, or language+variant: `en-us+f2`.
            rate: words a minute, 80 to 450.
            pitch: 0 to 99, 50 is the voice's own.
        """
        self._heard.clear()
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            sys.exit(f"no voice is called {voice!r}")
        self._library.espeak_SetParameter(RATE, rate, 0)
        self._library.espeak_SetParameter(PITCH, pitch, 0)
        words = text.encode()
        if self._library.espeak_Synth(words, len(words) + 1, 0, 0, 0, UTF8, None, None) != 0:
            sys.exit(f"{text!r} could not be said")
        return bytes(self._heard)

    def _hear(self, samples: int | None, count: int, _events: int | None) -> int:
        if samples is not None:
            self._heard += ctypes.string_at(samples, 2 * count)
        return 0  # go on


def main(library: str, data: str) -> None:
    """Says the utterances of standard input."""
    utterances = json.load(sys.stdin)
    espeak = Espeak(library, data)
    out = sys.stdout.buffer
    out.write(struct.pack("<I", espeak.sample_rate))
    for utterance in utterances:
        samples = espeak.say(**utterance)
        out.write(struct.pack("<I", len(samples) // 2) + samples)


if __name__ == "__main__":
    main(*sys.argv[1:])
