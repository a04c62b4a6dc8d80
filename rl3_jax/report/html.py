"""A page as one HTML file that needs no other: pictures, style and script are inside."""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from markdown_it import MarkdownIt
from PIL import Image

from rl3_jax.report.blocks import Animation, Block, Commands, Details, Figure, Heading, Paragraph, Table

INLINE = MarkdownIt("zero").enable(["emphasis", "backticks", "escape"])
"""What a line of text may have; all else, HTML and links included, stands for itself."""
SCALE = 96 / 150
"""Pixels of the page for one of a figure, whose letters are then as large as the text's."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser loads nothing from elsewhere."""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
<script>
{script}</script>
</body>
</html>
"""


def html(blocks: Sequence[Block]) -> str:
    """Return a page as HTML, with its contents after the first heading."""
    names = {id(block): f"section-{i}" for i, block in enumerate(blocks) if isinstance(block, Heading)}
    parts, section = [], ""
    for block in blocks:
        section = names.get(id(block), section)
        text = _rendered(block, section)
        if isinstance(block, Heading):
            text = f'<h{block.level} id="{section}">{text}</h{block.level}>'
        parts.append(text)
        if isinstance(block, Heading) and block.level == 1:
            parts.append(_contents(blocks, names))
    title = next(block.text for block in blocks if isinstance(block, Heading))
    style, script = (Path(__file__).with_name(f"page.{kind}").read_text("utf-8") for kind in ("css", "js"))
    inside = {"title": escape(title), "body": "\n".join(parts), "style": style, "script": script}
    return PAGE.format(policy=POLICY, **inside)


def _contents(blocks: Sequence[Block], names: dict[int, str]) -> str:
    """Return links to the headings of level 2, and below each to those of level 3 that follow it."""
    groups: list[list[str]] = []
    for block in blocks:
        if isinstance(block, Heading) and block.level == 2:
            groups.append([f"<p>{_link(block, names)}</p>", "<ul>"])
        elif isinstance(block, Heading) and block.level == 3:
            groups[-1].append(f"<li>{_link(block, names)}</li>")
    lines = [line for group in groups for line in (*group, "</ul>")]
    return "\n".join(['<nav aria-label="Contents">', *lines, "</nav>"])


def _link(block: Heading, names: dict[int, str]) -> str:
    """Return a link to a heading of the page."""
    return f'<a href="#{names[id(block)]}">{INLINE.renderInline(block.text)}</a>'


def _rendered(block: Block | Commands | Animation, section: str) -> str:
    """Return a block as HTML; `section` is the id of the heading above it."""
    match block:
        case Heading():
            return INLINE.renderInline(block.text)
        case Paragraph():
            return f"<p>{INLINE.renderInline(block.text)}</p>"
        case Table():
            return _table(block, section)
        case Figure():
            picture = _picture(block.title, "png", block.file.read_bytes(), SCALE)
            return f"<figure>{picture}<figcaption>{INLINE.renderInline(block.caption)}</figcaption></figure>"
        case Animation():
            return f'<figure class="animation">{_picture(block.title, "gif", block.content, 1.0)}</figure>'
        case Commands():
            return _commands(block)
        case Details():
            inside = "\n".join(_rendered(each, section) for each in block.blocks)
            return f"<details>\n<summary>{INLINE.renderInline(block.summary)}</summary>\n{inside}\n</details>"


def _table(table: Table, section: str) -> str:
    """Return a table that scrolls within itself; the script of the page lets it be sorted."""
    first, *rows = table.rows
    head = "".join(f'<th scope="col">{INLINE.renderInline(cell)}</th>' for cell in first)
    lines = [f"<thead><tr>{head}</tr></thead>", "<tbody>"]
    for name, *cells in rows:
        numbers = "".join(f"<td>{INLINE.renderInline(cell)}</td>" for cell in cells)
        lines.append(f'<tr><th scope="row">{INLINE.renderInline(name)}</th>{numbers}</tr>')
    if table.caption:
        lines.insert(0, f"<caption><span>{INLINE.renderInline(table.caption)}</span></caption>")
    kind = ' class="texts"' if table.texts else ""
    inside = "\n".join([f"<table{kind}>", *lines, "</tbody>", "</table>"])
    return f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{section}">\n{inside}\n</div>'


def _commands(commands: Commands) -> str:
    """Return lines in which a word is never broken at a hyphen, as the end of a line would be."""
    words = [[f"<span>{escape(word)}</span>" for word in line.split(" ")] for line in commands.lines]
    return "<pre>{}</pre>".format("\n".join(f"<code>{' '.join(line)}</code>" for line in words))


def _picture(title: str, kind: str, content: bytes, scale: float) -> str:
    """Return a picture that is inside the page; one wider than the screen scrolls within itself."""
    data, name = base64.b64encode(content).decode("ascii"), escape(title, quote=True)
    width, height = (round(scale * size) for size in Image.open(io.BytesIO(content)).size)
    size = f'width="{width}" height="{height}" style="--natural: {width}px"'
    image = f'<img alt="{name}" {size} src="data:image/{kind};base64,{data}">'
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{name}">{image}</div>'
