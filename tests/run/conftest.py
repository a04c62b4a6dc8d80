"""Finished runs, shared by the tests that only look at them."""

import contextlib
import io

import pytest

from rl3_jax import FAMILIES, train
from tests.run import tiny


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    return train(tiny.CONFIG, tmp_path_factory.mktemp("finished") / "run", progress=False)


@pytest.fixture(scope="package")
def finished_grid(tmp_path_factory):
    """A run on gridworlds and what it showed on the error stream."""
    shown = io.StringIO()
    with contextlib.redirect_stderr(shown):
        run = train(tiny.GRID, tmp_path_factory.mktemp("finished-grid") / "run")
    return run, shown.getvalue()


@pytest.fixture
def registered(monkeypatch):
    """Put a class among the families, as `register` does, and forget it afterwards."""
    return lambda kind: monkeypatch.setitem(FAMILIES, kind.family, kind)
