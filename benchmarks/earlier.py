"""The package as it was at an earlier commit, to be measured beside that of today."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path


def sources(commit: str, folder: Path) -> Path:
    """Unpacks the package of a commit into a folder; gives what to import it from."""
    packed = subprocess.run(
        ["git", "archive", commit, "src"], cwd=Path(__file__).parent.parent, check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder / "src"
