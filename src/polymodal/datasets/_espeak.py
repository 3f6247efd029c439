"""Speaks words with the eSpeak NG library: a program of its own, started by `_speech`.

The library is one big global state: not thread-safe, it sets the process's locale, may end the process, and what it
says depends on what it said before. A process that lives for one job makes it harmless and its speech repeatable. Only
the standard library is imported, so the process starts in milliseconds.

    python _espeak.py LIBRARY DATA < utterances.json > speech

Speech is a sequence of little-endian numbers: the sample rate (uint32), then for each utterance the number of samples
(uint32), the samples (int16), the number of words (uint32), and of each word (3 x uint32) its place in the text, its
length, both in characters, and when it begins, in milliseconds.
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
WORD, LAST = 1, 0  # types of events

Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Event(ctypes.Structure):
    """espeak_EVENT of espeak-ng/speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # milliseconds
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


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
        self._words: list[tuple[int, int, int]] = []
        self._callback = Callback(self._hear)  # the library keeps a bare pointer to it: it must outlive the calls
        self._library.espeak_SetSynthCallback(self._callback)
        self._library.espeak_ng_SetRandSeed(ctypes.c_long(0))  # of the noise in breathy voices

    def say(self, text: str, *, voice: str, rate: int, pitch: int) -> tuple[bytes, list[tuple[int, int, int]]]:
        """Samples (int16) of a text, and place, length and beginning of each word.

        Args:
            text: what to say.
            voice: language, or language+variant: `en-us+f2`.
            rate: words a minute, 80 to 450.
            pitch: 0 to 99, 50 is the voice's own.
        """
        self._heard.clear()
        self._words.clear()
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            sys.exit(f"no voice is called {voice!r}")
        self._library.espeak_SetParameter(RATE, rate, 0)
        self._library.espeak_SetParameter(PITCH, pitch, 0)
        words = text.encode()
        if self._library.espeak_Synth(words, len(words) + 1, 0, 0, 0, UTF8, None, None) != 0:
            sys.exit(f"{text!r} could not be said")
        return bytes(self._heard), list(self._words)

    def _hear(self, samples: int | None, count: int, events: int | None) -> int:
        if samples is not None:
            self._heard += ctypes.string_at(samples, 2 * count)
        place = events
        while place is not None and (event := Event.from_address(place)).type != LAST:
            if event.type == WORD:
                self._words.append((event.text_position - 1, event.length, event.audio_position))
            place += ctypes.sizeof(Event)
        return 0  # go on


def main(library: str, data: str) -> None:
    """Says the utterances of standard input."""
    utterances = json.load(sys.stdin)
    espeak = Espeak(library, data)
    out = sys.stdout.buffer
    out.write(struct.pack("<I", espeak.sample_rate))
    for utterance in utterances:
        samples, spoken = espeak.say(**utterance)
        out.write(struct.pack("<I", len(samples) // 2) + samples + struct.pack("<I", len(spoken)))
        for word in spoken:
            out.write(struct.pack("<3I", *word))


if __name__ == "__main__":
    main(*sys.argv[1:])
