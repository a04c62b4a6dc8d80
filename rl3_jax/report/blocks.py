"""A page as data, and its Markdown; `html` renders the same blocks."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

Inline: TypeAlias = str
"""One line of text in which Markdown's emphasis, code and escapes have their meaning."""


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading; level 1 is the page's own."""

    level: int
    text: Inline

    def markdown(self) -> str:
        """Return it as Markdown."""
        return f"{'#' * self.level} {self.text}"


@dataclasses.dataclass(frozen=True)
class Paragraph:
    """Some sentences."""

    text: Inline

    def markdown(self) -> str:
        """Return it as Markdown."""
        return self.text


@dataclasses.dataclass(frozen=True)
class Table:
    """Rows of cells, the first row its heading; all columns but the first are of numbers.

    Attributes:
      caption: what stands above it.
      texts: columns are of text instead.
    """

    rows: Sequence[Sequence[Inline]]
    caption: Inline = ""
    texts: bool = False

    def markdown(self) -> str:
        """Return it as Markdown."""
        lines = [self.rows[0], ["---", *["---:"] * (len(self.rows[0]) - 1)], *self.rows[1:]]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return f"{self.caption}\n\n{table}" if self.caption else table


@dataclasses.dataclass(frozen=True)
class Figure:
    """A picture in a file beside the page, with what it shows."""

    title: str
    file: Path
    caption: Inline

    def markdown(self) -> str:
        """Return it as Markdown."""
        return f"![{self.title}]({self.file.name})\n\n{self.caption}"


@dataclasses.dataclass(frozen=True)
class Commands:
    """Lines to be typed in a shell."""

    lines: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Animation:
    """A GIF that is in no file."""

    title: str
    content: bytes = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Details:
    """What the HTML page alone has, closed at first."""

    summary: str
    blocks: Sequence["Paragraph | Table | Commands | Animation"]


Shown: TypeAlias = Heading | Paragraph | Table | Figure
Block: TypeAlias = Shown | Details


def markdown(blocks: Sequence[Block]) -> str:
    """Return a page in Markdown, without details."""
    return "\n\n".join(block.markdown() for block in blocks if not isinstance(block, Details)) + "\n"
