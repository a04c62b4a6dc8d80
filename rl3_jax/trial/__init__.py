"""The meta-MDP: a task plus object-level RL, seen as one gymnax environment."""

from rl3_jax.trial.behaviour import Behaviour, Trials, run_trials
from rl3_jax.trial.env import TrialEnv, TrialParams, TrialState
from rl3_jax.trial.make import (
    COARSE,
    METHODS,
    family_abstraction,
    family_learner,
    fits_method,
    make,
    method_abstraction,
    method_features,
    with_method,
)
from rl3_jax.trial.observation import Features

__all__ = [
    "COARSE",
    "METHODS",
    "Behaviour",
    "Features",
    "TrialEnv",
    "TrialParams",
    "TrialState",
    "Trials",
    "family_abstraction",
    "family_learner",
    "fits_method",
    "make",
    "method_abstraction",
    "method_features",
    "run_trials",
    "with_method",
]
