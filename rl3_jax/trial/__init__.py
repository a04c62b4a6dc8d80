"""The meta-MDP: a task plus object-level RL, seen as one gymnax environment."""

from rl3_jax.trial.behaviour import Behaviour, Trials, run_trials, trial_keys
from rl3_jax.trial.config import Features
from rl3_jax.trial.env import TrialEnv, TrialParams, TrialState
from rl3_jax.trial.methods import (
    COARSE,
    METHODS,
    family_abstraction,
    family_learner,
    fits_method,
    make,
    method_abstraction,
    method_features,
    named_abstraction,
    with_method,
)
from rl3_jax.trial.rollouts import Acting, Moment, Rollout, StepKeys, rollout

__all__ = [
    "COARSE",
    "METHODS",
    "Acting",
    "Behaviour",
    "Features",
    "Moment",
    "Rollout",
    "StepKeys",
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
    "named_abstraction",
    "rollout",
    "run_trials",
    "trial_keys",
    "with_method",
]
