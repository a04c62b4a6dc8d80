"""What the site adds to Sphinx: fields with their defaults, options of commands, pages of source files."""

import dataclasses
import inspect
import itertools
import posixpath
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.docutils import SphinxDirective
from tyro.conf import Positional

from rl3_jax.run.arguments import Shared
from rl3_jax.run.commands import COMMANDS, Configured

BOUNDS = {Ge: "at least {0.ge}", Gt: "above {0.gt}", Le: "at most {0.le}", Lt: "below {0.lt}"}
SOURCES = "source"
"""Folder of the site with a page for each source file that a page links to."""


def add_fields(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Give each field that a dataclass's docstring describes its type, default and bounds."""
    if what != "class" or not dataclasses.is_dataclass(obj):
        return
    hints = typing.get_type_hints(obj, include_extras=True)
    fields = {f".. attribute:: {field.name}": field for field in dataclasses.fields(obj)}
    starts = [at for at, line in enumerate(lines) if line in fields]
    for start, end in reversed(list(itertools.pairwise([*starts, len(lines)]))):
        field = fields[lines[start]]
        last = max(at for at in range(start, end) if lines[at])
        lines[last] += bounds(hints[field.name])
        lines.insert(start + 1, f"   :type: {type_name(hints[field.name])}")
        if field.default is not dataclasses.MISSING:
            lines.insert(start + 2, f"   :value: {short(field.default)}")


def no_signature(app: Sphinx, what: str, name: str, obj: Any, *_: Any) -> tuple[str, None] | None:
    """Leave out the arguments of a dataclass, which are its fields."""
    return ("", None) if what == "class" and dataclasses.is_dataclass(obj) else None


def short(default: Any) -> str:
    """Return a default as it would be written; of a configuration within another its class alone."""
    return f"{type(default).__name__}()" if dataclasses.is_dataclass(default) else repr(default)


def type_name(hint: Any) -> str:
    """Return an annotation without its constraints."""
    if typing.get_origin(hint) is Annotated:
        return type_name(typing.get_args(hint)[0])
    if typing.get_origin(hint) is Literal:
        return " | ".join(map(repr, typing.get_args(hint)))
    if typing.get_origin(hint) is tuple:
        return f"tuple[{', '.join('...' if x is Ellipsis else type_name(x) for x in typing.get_args(hint))}]"
    return hint.__name__ if inspect.isclass(hint) else str(hint)


def bounds(hint: Any) -> str:
    """Return a sentence on the values that a number may have, or nothing."""
    constraints = getattr(hint, "__metadata__", ())
    found = [BOUNDS[type(x)].format(x) for x in constraints if type(x) in BOUNDS]
    notes = [f" ({x})" for x in constraints if isinstance(x, str)]
    return f" It is {' and '.join(found)}{''.join(notes)}." if found else ""


class Command(SphinxDirective):
    """`{command} NAME`: what a command of `rl3` does, and its arguments; without a name those of all."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes."""
        name = self.arguments[0] if self.arguments else "COMMAND"
        kind = COMMANDS.get(name, Shared)
        of_every = {field.name for field in dataclasses.fields(Shared)} if kind is not Shared else set()
        if issubclass(kind, Configured):
            of_every.add("settings")
        hints = typing.get_type_hints(kind, include_extras=True)
        fields = [field for field in dataclasses.fields(kind) if field.name not in of_every]
        fields.sort(key=lambda field: not is_positional(hints[field.name]))
        text = [inspect.getdoc(kind) or ""] if kind is not Shared else []
        text += [f"```{{program}} rl3 {name}\n```", *(option(field, hints[field.name]) for field in fields)]
        return self.parse_text_to_nodes("\n\n".join(text))


def is_positional(hint: Any) -> bool:
    """Whether an argument has no flag."""
    return bool(set(Positional[int].__metadata__) & set(hint.__metadata__))


def option(field: "dataclasses.Field[Any]", hint: Any) -> str:
    """Return the description of an argument, in Markdown."""
    about = next(note for note in hint.__metadata__ if getattr(note, "help", None))
    flag, said = "--" + field.name.replace("_", "-"), about.help
    if is_positional(hint):
        flag = about.metavar
    elif isinstance(field.default, bool):
        flag, said = (f"--no-{flag[2:]}", f"do not {said}") if field.default else (flag, said)
    else:
        flag += f" {about.metavar}"
        if isinstance(field.default, (int, float, Path)):
            said += f"; default {field.default}"
    return f"```{{option}} {flag}\n{said}\n```"


class SourceLinks(SphinxPostTransform):
    """Lead links to source files to pages of these, and take the link from the name of a folder."""

    default_priority = 5  # before MyST resolves links

    def run(self, **kwargs: Any) -> None:
        """Replace the nodes."""
        root = Path(self.env.srcdir)
        here = posixpath.dirname(self.env.docname)
        for node in list(self.document.findall(addnodes.download_reference)):
            path = posixpath.normpath(posixpath.join(here, node["reftarget"].removeprefix("/")))
            if path.endswith(".py") and (root / path).is_file():
                self.env.site_sources.add(path)
                uri = self.app.builder.get_relative_uri(self.env.docname, f"{SOURCES}/{path}")
                node.replace_self(nodes.reference("", "", *node.children, refuri=uri, internal=True))
        for node in list(self.document.findall(addnodes.pending_xref)):
            if node["reftype"] == "myst" and (root / here / node["reftarget"]).is_dir():
                node.replace_self(node.children)


def source_pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield a page for each source file that is linked to."""
    highlighter = app.builder.highlighter
    for path in sorted(app.env.site_sources):
        code = (Path(app.srcdir) / path).read_text()
        body = highlighter.highlight_block(code, "python", linenos=False)
        yield f"{SOURCES}/{path}", {"title": path, "body": f"<h1>{path}</h1>{body}"}, "page.html"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register all of it."""
    app.connect("builder-inited", lambda app: setattr(app.env, "site_sources", set()))
    app.connect("autodoc-process-docstring", add_fields, priority=600)  # after napoleon
    app.connect("autodoc-process-signature", no_signature)
    app.connect("html-collect-pages", source_pages)
    app.add_directive("command", Command)
    app.add_post_transform(SourceLinks)
    return {"parallel_read_safe": True}
