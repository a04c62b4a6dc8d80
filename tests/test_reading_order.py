"""The core can be read in one sitting: the README lists it, and nothing else of size runs in an iteration."""

import re
import sys
from pathlib import Path

import jax
import pytest

import rl3_jax

ROOT = Path(__file__).parents[1]
LISTED = re.findall(
    r"^\d+\. \[`([\w/]+\.py)`\]\(rl3_jax/\1\)", (ROOT / "README.md").read_text(), re.MULTILINE
)
BESIDE = {
    "training/config.py", "training/hyper.py", "ppo/config.py", "policies/config.py",
    "policies/distribution.py", "ppo/segments.py", "ppo/devices.py", "policies/products.py",
    "policies/exchangeable.py", "policies/gates.py", "policies/base.py", "trial/config.py",
    "trial/packing.py", "trial/outcomes.py", "ppo/novelty.py", "platforms.py",
}  # fmt: skip
"""Configuration, the choice of a distribution, and the helpers that the README names."""


def files_that_run(function):
    """Return the files of the package, but those of tasks and learners, in which a function's calls are."""
    seen = set()

    def note(frame, event, _):
        if event == "call" and "rl3_jax/" in (name := frame.f_code.co_filename):
            seen.add(name.rpartition("rl3_jax/")[2])

    previous = sys.getprofile()
    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(previous)
    beside = ("tasks/", "object_rl/", "__init__")
    return {name for name in seen if not name.startswith(beside)}


def test_ten_files_of_1500_lines():
    assert len(LISTED) == len(set(LISTED)) == 10
    assert sum(len((ROOT / "rl3_jax" / name).read_text().splitlines()) for name in LISTED) <= 1500


@pytest.mark.slow
def test_they_are_what_runs_in_an_iteration():
    config = rl3_jax.make_config("mdp-h100-quick", policy="markov")
    state = jax.eval_shape(lambda: rl3_jax.init(config, jax.random.key(0)))
    jax.clear_caches()  # what was traced before would not be called again

    def trace():
        jax.eval_shape(lambda state: rl3_jax.train_iteration(config, rl3_jax.hyper_of(config), state), state)

    assert files_that_run(trace) - BESIDE == set(LISTED)
