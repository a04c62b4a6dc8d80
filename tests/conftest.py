"""Set-up shared by all tests."""

import atexit
import os
import shutil
import tempfile

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
