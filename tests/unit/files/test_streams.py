import hashlib
import io

import pytest

from polymodal.files import streams

DATA = bytes(range(256)) * 5


class Chunks:
    size = len(DATA)

    def blocks(self):
        return (DATA[begin : begin + 100] for begin in range(0, len(DATA), 100))


@pytest.mark.parametrize("content", [DATA, Chunks()])
def test_content_is_copied_and_hashed(content):
    written = io.BytesIO()
    digest = streams.copy(content, written.write)
    assert written.getvalue() == DATA
    assert digest == streams.Digest(len(DATA), hashlib.sha256(DATA).hexdigest()) == streams.digest_of(content)
    assert streams.size_of(content) == len(DATA)
