"""What every task family, learner and core must do, as checks for the tests of those who write one.

For example, in a file that pytest runs:

    from rl3_jax.testing import check_family

    def test_corridors():
        check_family(Corridor())

A check returns nothing if all is well, and else raises a `ConformanceError` that names the class, what it
should do and why. Checks compile and run small programs, for some seconds; they need nothing but rl3_jax.
"""

from rl3_jax.testing.cores import check_core
from rl3_jax.testing.families import check_family, check_variations_differ
from rl3_jax.testing.learners import check_learner
from rl3_jax.testing.trees import ConformanceError

__all__ = ["ConformanceError", "check_core", "check_family", "check_learner", "check_variations_differ"]
