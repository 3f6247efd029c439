"""Turns the notebooks of `examples/notebooks` into pages, with their outputs; `docs/generate.py` writes them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
NOTEBOOKS = DOCS.parent / "examples/notebooks"
PAGES = DOCS / "notebooks"

Json = dict[str, Any]


def pages() -> dict[Path, bytes]:
    """Every file that the notebooks become: a page for each, and the pictures on it."""
    made: dict[Path, bytes] = {}
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        parts = [f"<!-- written by docs/generate.py from examples/notebooks/{path.name} -->"]
        for cell in notebook["cells"]:
            source = "".join(cell["source"])
            if cell["cell_type"] == "markdown":
                parts.append(source.replace("](../../docs/", "](../"))
                continue
            parts.append(f"```py\n{source}\n```")
            for kind, content in _shown(cell["outputs"]):
                if kind == "picture":
                    picture = (
                        PAGES / f"{path.stem}-{len([file for file in made if file.stem.startswith(path.stem)]) + 1}.png"
                    )
                    made[picture] = base64.b64decode(content)
                    parts.append(f"![What the code above draws]({picture.name})")
                else:
                    parts.append(content if kind == "table" else f"```text\n{content.rstrip()}\n```")
        made[PAGES / f"{path.stem}.md"] = ("\n\n".join(parts) + "\n").encode()
    return made


def _shown(outputs: list[Json]) -> Iterator[tuple[str, str]]:
    """The outputs of a cell as `picture`, `table` or `text`."""
    for output in outputs:
        data = output.get("data", {})
        if "text" in output:
            yield "text", "".join(output["text"])
        elif "image/png" in data:
            yield "picture", "".join(data["image/png"])
        elif tables := _tables("".join(data.get("text/html", ""))):
            yield "table", tables
        else:
            yield "text", "".join(data["text/plain"])


def _tables(html: str) -> str:
    """The tables in HTML, without styles and classes, so that they look like those of the site.

    Of a fitted model those of its summary; scikit-learn's diagram, which comes before it, needs styles.
    """
    html = html.partition("<div class='polymodal-summary'>")[2] or html
    wanted = (
        re.findall(r"<p>.*?</p>|<table.*?</table>", html, re.DOTALL)
        if "dataframe" in html or "<caption>" in html
        else []
    )
    plain = (re.sub(r"<(table|tr)[^>]*>", r"<\1>", part).replace("NaN", "") for part in wanted)
    return "\n\n".join(re.sub(r"\n\s*", "\n", part) for part in plain)
