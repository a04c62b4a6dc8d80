"""Set-up shared by all tests."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import jax
import jaxtyping
import pytest
from hypothesis import settings

import tests.typecheck  # noqa: F401  jaxtyping's hook finds the checker among the loaded modules

# Compiled programs are kept for the time of the tests only, by their processes too.
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="rl3-tests-")
atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

# Before the package is first imported: every annotated function of it checks shapes and types.
jaxtyping.install_import_hook("rl3_jax", "tests.typecheck.check")

# The checks of tests/conformance are called from test modules; a failed assert shows its values.
pytest.register_assert_rewrite("tests.conformance")

settings.register_profile("rl3", deadline=None, derandomize=True, print_blob=False)
settings.load_profile("rl3")

MAPS = Path("/proc/self/maps")
MANY_MAPS = 20_000
"""Each compiled program takes several mappings of memory, of which Linux allows a process 65 530."""


@pytest.fixture(autouse=True, scope="module")
def _forget_programs():
    """Drop compiled programs after a module if there are many: with too many a process crashes."""
    yield
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MANY_MAPS:
        jax.clear_caches()
