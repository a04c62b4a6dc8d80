"""Set-up shared by all tests."""

import atexit
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# All processes of the tests share compiled programs, kept for the next time. JAX reads this when imported.
COMPILED = Path(__file__).parents[1] / ".pytest_cache" / "compiled"
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(COMPILED))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")

QUICK = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    " --xla_cpu_parallel_codegen_split_count=1"
)
"""Flags with which XLA compiles in a quarter of the time what runs four times as long."""


def known_to_xla(flags):
    """Whether XLA takes these flags; it ends a process that gives it others."""
    probe = [sys.executable, "-c", "import jax; jax.devices()"]
    done = subprocess.run(probe, env=os.environ | {"XLA_FLAGS": flags}, capture_output=True, check=False)
    return done.returncode == 0


# Where no test is left that computes for long. XLA reads this at its first computation, maybe in a module
# that pytest imports before it calls any hook of this one; further processes inherit it.
if "not slow" in sys.argv and "XLA_FLAGS" not in os.environ and known_to_xla(QUICK):
    os.environ["XLA_FLAGS"] = QUICK

import flax.linen  # noqa: E402, F401
import gymnax  # noqa: E402, F401  these come before jaxtyping's hook: within it Python compiles a module anew
import jax  # noqa: E402
import jaxtyping  # noqa: E402
import matplotlib.pyplot  # noqa: E402, F401
import optax  # noqa: E402, F401
import pytest  # noqa: E402
import rich.console  # noqa: E402, F401
import scipy.stats  # noqa: E402, F401
import tyro  # noqa: E402, F401
from hypothesis import settings  # noqa: E402

import tests.typecheck  # noqa: E402, F401  jaxtyping's hook finds the checker among the loaded modules

# What else the package caches is kept for the time of the tests only.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="rl3-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

# Before the package is first imported: every annotated function of it checks shapes and types.
jaxtyping.install_import_hook("rl3_jax", "tests.typecheck.check")

# These assertions are called from test modules; a failed one shows its values.
pytest.register_assert_rewrite("tests.trees")

settings.register_profile("rl3", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("rl3")


def pytest_collection_finish():
    """Look for garbage less often, and not among what is there now: tracing makes many objects at a time."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


MAPS = Path("/proc/self/maps")
MANY_MAPS = 20_000
"""Each compiled program takes several mappings of memory, of which Linux allows a process 65 530."""


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Drop compiled programs after a module if there are many: with too many a process crashes."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MANY_MAPS:
        jax.clear_caches()


@pytest.fixture
def as_on_gpu(monkeypatch):
    """Trace what a GPU would run, where that is chosen by platform.

    Not for functions traced before, nor may what is traced be cached. It fails if nothing had to be chosen.
    """
    chosen = []

    def choose(*operands, default, **branches):
        chosen.append(branches.get("cuda", default))
        return chosen[-1](*operands)

    monkeypatch.setattr(jax.lax, "platform_dependent", choose)
    yield
    assert chosen


@pytest.fixture(params=["cpu", "gpu"])
def each_platform(request):
    """Trace what a CPU would run, then what a GPU would."""
    if request.param == "gpu":
        request.getfixturevalue("as_on_gpu")
