"""What telephones say: short recordings of five languages, with their text."""

from __future__ import annotations

import gzip
from pathlib import Path

from polymodal.datasets._cache import Progress
from polymodal.datasets._packages import Package, archives, unpack
from polymodal.datasets._tables import check_count, sides, tracked, write_licence, write_ogg, write_table

LANGUAGES = ("en", "es", "fr", "it", "ru")
SAMPLE_RATE = 8_000
_MOST_TEXT = 2**24  # bytes
COLUMNS = ("id", "audio", "text", "language", "duration", "split")

LICENCE = """\
prompts: the core sounds of Asterisk (https://www.asterisk.org), recorded by Allison Smith, June Wallack and others,
CC BY-SA 3.0 (Russian: CC BY 3.0). Changed: Ogg Vorbis, mono, 8 kHz. The split is Polymodal's.
"""


class Prompts:
    """The table has the columns id, audio, text, language, duration (seconds) and split.

    A prompt has the same name in every language and stays on one side of the split, which is stratified by language.
    Recordings without a text, and those of noises (their text stands in brackets), are left out. `duration` is no
    feature, and neither is `id`.
    """

    rows = 2708
    version = 1
    title = "Spoken telephone prompts with their text, five languages (563 English)"
    source = "Debian packages asterisk-core-sounds-{en,es,fr,it,ru}[-wav] (98 MB), through apt-get"
    licence = "CC BY-SA 3.0, Asterisk core sounds; see LICENCE.txt"
    synthetic = "real: professional voices"

    def build(self, folder: Path, *, seed: int = 0, progress: Progress | None = None) -> Path:
        """Writes the table as `Recipe.build` says; a quarter of the rows is test, prompts stay whole."""
        names = [f"asterisk-core-sounds-{language}" for language in LANGUAGES]
        packages = [Package("apt-get", name + ending) for name in names for ending in ("", "-wav")]
        with archives(packages, folder.parent / ".packages-prompts") as (files, unpacked):
            for file in files:
                unpack(file, unpacked, "usr/share/asterisk/sounds/*", "usr/share/doc/*")
            (folder / "media").mkdir(parents=True, exist_ok=True)
            write_licence(folder, LICENCE, files, unpacked.glob("usr/share/doc/*-en/copyright"))
            found = [prompt for language in LANGUAGES for prompt in _prompts(language, unpacked)]
            check_count("prompts", len(found), self.rows)
            rows: list[tuple[object, ...]] = []
            for language, name, text, recording in tracked(found, progress):
                identity = f"{language}__{name}"
                audio = f"media/{identity.replace('/', '__')}.ogg"
                seconds = write_ogg(recording, folder / audio, sample_rate=SAMPLE_RATE)
                rows.append((identity, audio, text, language, round(seconds, 2)))
        split = sides([prompt[0] for prompt in found], [prompt[1] for prompt in found], folds=4, seed=seed)
        return write_table(folder / "table.csv", COLUMNS, [(*row, side) for row, side in zip(rows, split, strict=True)])


def _prompts(language: str, root: Path) -> list[tuple[str, str, str, Path]]:
    """(language, name, text, recording) of each prompt, in the order of the files; of two texts the first."""
    package = f"asterisk-core-sounds-{language}"
    document = root / f"usr/share/doc/{package}/core-sounds-{language}.txt.gz"
    recordings = {
        path.relative_to(voice).with_suffix("").as_posix(): path
        for voice in sorted((root / "usr/share/asterisk/sounds").glob(f"{language}_*"))
        for path in voice.rglob("*.wav")
    }
    with gzip.open(document) as file:
        lines = file.read(_MOST_TEXT).decode("utf-8", errors="replace").splitlines()
    texts: dict[str, str] = {}
    for line in lines:
        name, _, text = (part.strip() for part in line.partition(":"))
        texts.setdefault(name, text)
    names = sorted(recordings, key=lambda name: f"{name}.wav")
    said = [(name, texts.get(name, "")) for name in names]
    return [(language, name, text, recordings[name]) for name, text in said if text and not text.startswith("[")]
