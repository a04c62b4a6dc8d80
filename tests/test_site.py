"""The reference of the documentation site is complete; `make docs` tests the rest."""

import re
from pathlib import Path

import rl3_jax
from rl3_jax.run.commands import COMMANDS

REFERENCE = Path(__file__).parents[1] / "docs/reference"
DIRECTIVE = re.compile(r"^\.\. (?:py:currentmodule|auto\w+|py:data):: (\S+)$", re.MULTILINE)


def documented(page):
    """Yield the full name of each object that a page documents."""
    module = ""
    for line in DIRECTIVE.finditer((REFERENCE / page).read_text()):
        if "currentmodule" in line[0]:
            module = line[1]
        else:
            yield f"{module}.{line[1]}"


def test_each_public_name_is_on_one_page():
    found = [
        name for page in ("api.md", "configuration.md") for name in documented(page) if name.count(".") == 1
    ]
    assert sorted(found) == sorted(f"rl3_jax.{name}" for name in rl3_jax.__all__)


def test_each_command_has_a_section():
    text = (REFERENCE / "command-line.md").read_text()
    assert re.findall(r"^## rl3 (\w+)\n\n```\{command\} \1$", text, re.MULTILINE) == list(COMMANDS)
