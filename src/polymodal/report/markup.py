"""HTML as text: every function escapes what it is given, but what is called `html`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from polymodal.codecs.previews import escaped


def section(name: str, title: str, html: str, *, lede: str = "") -> str:
    """A part of the page, which `#name` leads to; nothing where it has nothing to show."""
    if not html:
        return ""
    words = f'<p class="lede">{escaped(lede)}</p>' if lede else ""
    return f'<section id="{name}"><h2>{escaped(title)}</h2>{words}{html}</section>'


def table(header: Sequence[str], html: Iterable[Sequence[str]], *, numbers: int = 0) -> str:
    """A table that scrolls sideways where it is too wide.

    Args:
        header: of each column.
        html: the cells of each row, escaped already.
        numbers: so many columns, the last ones, are aligned to the right.
    """
    first = len(header) - numbers
    kinds = [' class="number"' if place >= first else "" for place in range(len(header))]
    head = "".join(f'<th scope="col"{kind}>{escaped(word)}</th>' for word, kind in zip(header, kinds, strict=True))
    rows = ("".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True)) for row in html)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def tiles(html: Iterable[tuple[str, str, str]]) -> str:
    """A few figures to see first: what it is, the figure, what to know of it."""
    found = "".join(f"<div><dt>{name}</dt><dd>{value}<small>{note}</small></dd></div>" for name, value, note in html)
    return f'<dl class="tiles">{found}</dl>'


def pairs(html: Mapping[str, str]) -> str:
    """Names with what they stand for."""
    return '<dl class="pairs">' + "".join(f"<dt>{escaped(k)}</dt><dd>{v}</dd>" for k, v in html.items()) + "</dl>"


def cards(html: Iterable[tuple[str, str]]) -> str:
    """Boxes side by side: a heading and a body each."""
    return '<div class="cards">' + "".join(f"<article><h4>{h}</h4>{b}</article>" for h, b in html) + "</div>"


def columns(html: Iterable[str]) -> str:
    """Figures side by side where there is room."""
    return f'<div class="figures">{"".join(html)}</div>'


def code(text: str) -> str:
    """Commands or a program."""
    return f'<pre tabindex="0"><code>{escaped(text.strip())}</code></pre>'


def folded(title: str, html: str) -> str:
    """What only some readers want to see."""
    return f"<details><summary>{escaped(title)}</summary>{html}</details>"


def paragraph(text: str) -> str:
    """Some sentences."""
    return f"<p>{escaped(text)}</p>"


def listing(texts: Iterable[str]) -> str:
    """Points, one below the other."""
    return "<ul>" + "".join(f"<li>{escaped(text)}</li>" for text in texts) + "</ul>"


def share(value: float) -> str:
    """A share as people read it: `93.1 %`."""
    return f"{100 * value:.1f} %"


def amount(value: float) -> str:
    """A number with few digits: `1,234`, `0.031`, `1.2e-05`."""
    if value != value:  # noqa: PLR0124 - NaN
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.3f}" if 0.001 <= abs(value) < 1_000 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
