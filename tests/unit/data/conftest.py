import pytest
from fakes import FAKES, Blob

from polymodal import registry


@pytest.fixture
def fakes(monkeypatch):
    """The registry with the small modalities alone."""
    monkeypatch.setattr(registry, "names", lambda kind: tuple(sorted(FAKES)))
    monkeypatch.setattr(registry, "load", lambda kind, name: FAKES[name])
    Blob.reads.clear()
    Blob.threads.clear()
    return FAKES
