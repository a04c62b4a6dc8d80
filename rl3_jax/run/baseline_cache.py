"""The baselines' results on held-out tasks, each computed once and kept on disk."""

import contextlib
import functools
import hashlib
import json
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Any

from rl3_jax import training
from rl3_jax.run.files import cache_folder, write_atomically
from rl3_jax.run.machine import versions
from rl3_jax.run.progress import tracker
from rl3_jax.trial import TrialEnv

DECIDING = ("tasks", "object_rl", "trial", "baselines", "training", "bins.py", "grid.py")
"""Parts of the package whose code decides what a baseline scores."""


def baseline_results(
    env: TrialEnv,
    *,
    num_tasks: int,
    seed: int,
    names: Collection[str] = (),
    prior_reward: float | None = None,
    progress: bool = False,
) -> list[dict[str, Any]]:
    """Return the entry of a result file for each baseline of a family, the optimum last.

    What was computed before is read from `rl3_jax/baselines` in $XDG_CACHE_HOME or ~/.cache, if it was by the
    same code on the same tasks; the folder may be deleted at any time. Families from outside this package,
    whose code may change, are computed each time.

    Args:
      env: the trial, without object-level RL.
      num_tasks: held-out tasks.
      seed: names the set of tasks.
      names: of `baseline_names`; all of them if there are none.
      prior_reward: as in `baseline_names`.
      progress: show it.
    """
    # Imported here since only this needs them.
    from rl3_jax.baselines import asked_names, baseline_names, make_baselines

    known = type(env.family).__module__.startswith("rl3_jax.")
    folder, found = cache_folder("baselines") if known else None, []
    for name in asked_names(baseline_names(env.family, env.horizon, prior_reward), names):
        file = None if folder is None else folder / f"{_key(env, num_tasks, seed, name, prior_reward)}.json"
        entry = None if file is None else _read(file)
        if entry is None:
            # Made here, one by one, since some take long to make.
            behaviour = make_baselines(env.family, env.horizon, (name,), prior_reward)[name]
            track = tracker(name, visible=progress)
            trials = training.evaluate_trials(env, behaviour, num_tasks=num_tasks, seed=seed, track=track)
            entry = training.summarise(name, trials)
            if file is not None:
                _write(file, entry)
        found.append(entry)
    return found


def _key(env: TrialEnv, num_tasks: int, seed: int, name: str, prior_reward: float | None) -> str:
    """Return a file name that differs for another baseline, other tasks, code or versions."""
    asked = [repr(env), num_tasks, seed, name, prior_reward, versions(), _code()]
    digest = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    return f"{name.partition(' ')[0]}-{digest[:32]}"


@functools.cache
def _code() -> str:
    """Return a hash of the code that decides what a baseline scores, its hyperparameters included."""
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
