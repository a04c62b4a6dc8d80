"""Imports point one way, and only the shell touches the world (design, section 3)."""

import ast
from pathlib import Path

import pytest

import rl3_jax.errors

ROOT = Path(rl3_jax.errors.__file__).parent
DIRECT = {
    "errors": (),
    "extras": ("errors",),
    "rendezvous": ("errors",),
    "startup": ("errors", "rendezvous"),
    "constraints": ("errors",),
    "plugins": ("errors",),
    "bins": (),
    "grid": (),
    "platforms": (),
    "picture": (),
    "lean_gymnax": (),
    "programs": (),
    "streams": (),
    "overview": (),
    "tasks": ("constraints", "extras", "bins", "grid", "platforms", "picture", "lean_gymnax"),
    "object_rl": ("constraints", "bins", "grid", "platforms"),
    "trial": ("tasks", "object_rl"),
    "baselines": ("trial",),
    "policies": ("constraints", "platforms", "lean_gymnax"),
    "ppo": ("trial", "policies"),
    "training": ("ppo", "baselines", "plugins", "programs"),
    "testing": ("training",),
    "presets": ("training",),
    "run": ("presets", "report", "startup"),
    "report": ("training",),
    "cli": ("run", "streams"),
    "__main__": ("cli", "startup", "overview", "streams"),
}
"""The arrows of the design: each part may import these, and what they may import."""
SHELL = {"run", "report", "cli", "startup", "rendezvous", "overview", "streams", "__main__"}
WORLD = {"os", "time", "signal", "pathlib", "shutil", "tempfile", "subprocess", "socket", "io"}


def allowed(part):
    """All parts that a part may import."""
    return set(DIRECT[part]).union(*(allowed(below) for below in DIRECT[part]))


def part_of(path):
    """The part of the package that a file belongs to; '' for the package's own front."""
    part = path.relative_to(ROOT).parts[0].removesuffix(".py")
    return "" if part == "__init__" else part


def imported_modules(tree):
    """Yield the full name of each module, or member of one, that is imported anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def faults(source, part):
    """Return what is wrong with the imports and calls of a file of some part."""
    tree = ast.parse(source)
    found = []
    for module in imported_modules(tree):
        top, _, rest = module.partition(".")
        if top == "rl3_jax" and rest.split(".")[0] not in allowed(part) | {part}:
            found.append(module)
        if top in WORLD and part not in SHELL:
            found.append(module)
    if part not in SHELL:
        names = [
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and hasattr(node.func, "id")
        ]
        found += [f"{name}()" for name in names if name in ("open", "input", "print")]
    return found


FILES = [path for path in sorted(ROOT.rglob("*.py")) if part_of(path)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path):
    assert part_of(path) in DIRECT, "a new part needs its place in the design and here"
    assert faults(path.read_text(), part_of(path)) == []


@pytest.mark.parametrize(
    ("part", "source"),
    [
        ("tasks", "from rl3_jax.trial import TrialEnv"),
        ("tasks", "from rl3_jax import object_rl"),
        ("policies", "import rl3_jax.tasks.tabular"),
        ("ppo", "def f():\n    from rl3_jax.training import train"),
        ("report", "from rl3_jax.run import evaluation"),
        ("report", "from rl3_jax.presets import PRESETS"),
        ("baselines", "from rl3_jax.policies import Policy"),
        ("training", "from rl3_jax import make"),
        ("training", "import time"),
        ("presets", "from pathlib import Path"),
        ("trial", "def f(name):\n    with open(name) as file:\n        return file"),
    ],
)
def test_a_fault_is_found(part, source):
    assert len(faults(source, part)) == 1
