"""`rl3 doctor`: what runs compute with here, and whether a small one comes out right."""

import dataclasses
import os
import time
from collections.abc import Iterator

import jax
import numpy as np
from rich.console import Console
from rich.filesize import decimal

from rl3_jax.errors import NonFiniteError
from rl3_jax.extras import is_installed
from rl3_jax.presets import make_config
from rl3_jax.run import hub, machine
from rl3_jax.run.arguments import Shared
from rl3_jax.run.files import cache_folder
from rl3_jax.run.logs import LOGS
from rl3_jax.run.runs import train
from rl3_jax.run.tables import make_table
from rl3_jax.startup import num_cores
from rl3_jax.tasks import FAMILIES

TOLERANCE = 1e-5
"""How far log-probabilities may be apart in rollouts and in training, before the first gradient step."""


@dataclasses.dataclass(frozen=True)
class Doctor(Shared):
    """Tell versions, devices, memory, caches and extras, and train something small as a self-test."""

    def run(self) -> None:
        """Print them.

        Raises a `NonFiniteError` if the self-test fails.
        """
        table = make_table("What runs compute with", "what", "is")
        for row in findings():
            table.add_row(*row)
        Console().print(table)
        print(self_test())


def findings() -> Iterator[tuple[str, str]]:
    """Yield what is found here, each with its name."""
    yield from machine.versions().items()
    yield "devices", machine.described(machine.device(jax.devices()))
    yield "cores", f"{num_cores()} of {os.cpu_count()}"
    available = machine.available_bytes()
    yield "memory for a run", "unknown" if available is None else decimal(available)
    for name in ("compiled", "baselines"):
        folder = cache_folder(name)
        files = [] if folder is None else [path for path in folder.rglob("*") if path.is_file()]
        size = decimal(sum(path.stat().st_size for path in files))
        yield f"cache: {name}", "there is no home folder" if folder is None else f"{folder}, {size}"
    extras = {name: log.module for name, log in LOGS.items()} | {"hub": hub.MODULE}
    needed = (kind.extra for kind in FAMILIES.values() if kind.extra)
    for name, module in (extras | {name: module for module, name in needed}).items():
        yield f"extra: {name}", "installed" if is_installed(module) else f"pip install 'rl3-jax[{name}]'"


def self_test() -> str:
    """Return that a small run came out right, and how long it took.

    Its rollouts and its training, two programs, must agree on the probabilities of the actions taken.

    Raises:
      NonFiniteError: if they do not, or training diverges.
    """
    started = time.perf_counter()
    small = {"trials": 16, "minibatch_trials": 8, "epochs": 2}
    config = make_config("mdp-h100-quick", horizon=20, iterations=3, evaluation={"every": 0}, ppo=small)
    lines = train(config, progress=False).metrics
    apart = max(float(np.abs(line["max_abs_log_ratio"])) for line in lines)
    if apart > TOLERANCE:
        raise NonFiniteError(
            f"self-test failed: log-probabilities of rollouts and training are {apart:.1e} apart, more than"
            f" {TOLERANCE:g}; training on this machine would go wrong. Try another version of jax"
        )
    seconds = time.perf_counter() - started
    return f"self-test passed in {seconds:.1f} s: rollouts and training are {apart:.0e} apart"
