"""What every task family, learner and core must do; a new registry entry is covered with no further code."""

from tests.conformance.cores import check_core
from tests.conformance.families import check_family, check_variations_differ
from tests.conformance.learners import check_learner

__all__ = ["check_core", "check_family", "check_learner", "check_variations_differ"]
