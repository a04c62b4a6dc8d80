"""The baselines' results on held-out tasks, each computed once and kept on disk."""

import contextlib
import functools
import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import jax
import numpy as np

from rl3_jax import training
from rl3_jax.run.environment import versions
from rl3_jax.run.files import cache_folder, write_atomically
from rl3_jax.run.progress import tracker
from rl3_jax.trial import TrialEnv

DECIDING = ("tasks", "object_rl", "trial", "baselines", "training", "bins.py")
"""Parts of the package whose code decides what a baseline scores."""


def baseline_results(
    env: TrialEnv, *, num_tasks: int, seed: int, keep: bool = True, progress: bool = False
) -> list[dict[str, Any]]:
    """Return the entry of a result file for each baseline of a family, weakest first.

    What was computed before is read from `rl3_jax/baselines` in $XDG_CACHE_HOME or ~/.cache, if it was by the
    same code on the same tasks; the folder may be deleted at any time.

    Args:
      env: the trial, without object-level RL.
      num_tasks: held-out tasks.
      seed: names the set of tasks.
      keep: False computes all afresh, and keeps nothing.
      progress: show it.
    """
    # Imported here since only this needs them.
    from rl3_jax.baselines import make_baselines

    folder = cache_folder("baselines") if keep else None
    asked = {"env": repr(env), "num_tasks": num_tasks, "seed": seed}
    found = []
    for name, behaviour in make_baselines(env.family.family).items():
        file = None if folder is None else folder / f"{name}-{_key(asked, behaviour)}.json"
        entry = None if file is None else _read(file)
        if entry is None:
            track = tracker(name, visible=progress)
            rewards = training.evaluate(env, behaviour, num_tasks=num_tasks, seed=seed, track=track)
            entry = training.summarise(name, rewards)
            if file is not None:
                _write(file, entry)
        found.append(entry)
    return found


def _key(asked: dict[str, Any], behaviour: Any) -> str:
    """Return a text that differs for other tasks, hyperparameters, code or versions."""
    leaves, structure = jax.tree.flatten(behaviour)
    digest = hashlib.sha256(json.dumps([asked, versions(), _code(), str(structure)]).encode())
    for leaf in leaves:
        array = np.asarray(leaf)
        digest.update(f"{array.dtype}{array.shape}".encode() + array.tobytes())
    return digest.hexdigest()[:32]


@functools.cache
def _code() -> str:
    """Return a hash of the code that decides what a baseline scores."""
    root, digest = Path(__file__).parents[1], hashlib.sha256()
    for part in DECIDING:
        for path in sorted((root / part).rglob("*.py")) or [root / part]:
            digest.update(path.read_bytes())
    return digest.hexdigest()


def _read(file: Path) -> dict[str, Any] | None:
    """Return the entry that a file holds, or None if there is none that can be read."""
    try:
        return json.loads(file.read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        warnings.warn(f"a baseline is computed again, as {file} cannot be read: {error}", stacklevel=2)
        return None


def _write(file: Path, entry: dict[str, Any]) -> None:
    """Keep an entry; where that is not possible, it is computed again next time."""
    with contextlib.suppress(PermissionError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, json.dumps(entry).encode())
