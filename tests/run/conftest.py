"""One finished run, shared by the tests that only look at it."""

import pytest

from rl3_jax.run import train
from tests.run import tiny


@pytest.fixture(scope="package")
def finished(tmp_path_factory):
    return train(tiny.CONFIG, tmp_path_factory.mktemp("finished") / "run", progress=False)
