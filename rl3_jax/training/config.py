"""The one configuration of a run, composed of the parts' own."""

import dataclasses
from typing import Annotated

import jax
from annotated_types import Ge, Le, Lt

from rl3_jax.constraints import Count, problems
from rl3_jax.errors import ConfigError
from rl3_jax.lean_gymnax import spaces
from rl3_jax.object_rl import Abstraction, Identity, Learner, ModelBased
from rl3_jax.policies import Policy, PolicyConfig, action_distribution, action_problems, suited
from rl3_jax.policies.config import CONSTANT_CARRIES
from rl3_jax.ppo import PPOConfig
from rl3_jax.tasks import RandomMdp, TaskFamily, property_problems
from rl3_jax.trial import Features, TrialEnv
from rl3_jax.trial.config import action_starts, object_rl_parts

MOST_TASKS = 10**6
"""Held-out tasks of an evaluation, at most: the rewards of all are in memory at once."""


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """Held-out evaluation during training.

    Attributes:
      every: iterations between evaluations; 0 for none.
      num_tasks: held-out tasks.
      seed: of the held-out tasks; no training stream uses them, whatever its seed.
    """

    every: Annotated[int, Ge(0), "0 for never"] = 50
    num_tasks: Annotated[int, Ge(2), Le(MOST_TASKS), "a standard error needs 2"] = 500
    seed: Annotated[int, Ge(0), Lt(2**31), "a 32-bit integer in compiled programs"] = 0


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Everything that decides a run's result. Hashable: the static argument of the compiled training.

    Attributes:
      task: the task family.
      horizon: trial length H, steps.
      features: what the meta-policy sees.
      learner: object-level RL.
      abstraction: what object-level RL takes for a state.
      policy: the meta-policy's networks.
      ppo: the outer RL.
      iterations: length of the run; schedules end there.
      seed: of all training streams.
      evaluation: held-out evaluation during training.
      checkpoint_every: iterations between checkpoints; the end is always saved.
    """

    task: TaskFamily = RandomMdp()
    horizon: Count = 100
    features: Features = Features()
    learner: Learner = ModelBased()
    abstraction: Abstraction = Identity()
    policy: PolicyConfig = PolicyConfig()
    ppo: PPOConfig = PPOConfig()
    iterations: Count = 1000
    seed: Annotated[int, Ge(0), Lt(2**32)] = 0
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint_every: Count = 100

    @property
    def env(self) -> TrialEnv:
        """The trial that is trained on."""
        return TrialEnv(
            self.task,
            horizon=self.horizon,
            features=self.features,
            learner=self.learner,
            abstraction=self.abstraction,
        )

    @property
    def network(self) -> Policy:
        """The meta-policy for this trial; what its core leaves open is as the default backend likes it."""
        env, core = self.env, suited(self.policy.core, jax.default_backend())
        config = dataclasses.replace(self.policy, core=core)
        with jax.ensure_compile_time_eval():  # the bounds of a Box are numbers, also while JAX traces
            distribution = action_distribution(env.action_space())
        gated = object_rl_parts(env.layout) if config.gates else ()
        sizes = (env.observation_size, distribution, self.horizon)
        return Policy(config, *sizes, action_starts(env.layout), gated)

    @property
    def steps_per_iteration(self) -> int:
        """Environment steps in an iteration, B·H."""
        return self.ppo.trials * self.horizon

    def conflicts(self) -> list[str]:
        """Return a message for each way in which the parts do not fit each other."""
        if found := property_problems(self.task):
            return found
        core = self.policy.core
        found = core.spec_problems(self.policy.spec(self.horizon)) + self.ppo.segment_problems(self.horizon)
        if self.ppo.segmented(self.horizon) and not core.constant_carry:
            found.append(
                f"ppo.segment_length is {self.ppo.segment_length}, but the memory of"
                f" {core.core} grows with the trial; set it to 0, or choose {CONSTANT_CARRIES}"
            )
        if self.ppo.novelty_bonus and not self.task.integer_states:
            found.append(
                f"ppo.novelty_bonus is {self.ppo.novelty_bonus}, but the states of {self.task.family} are"
                " vectors, each of them new; set it to 0"
            )
        if self.ppo.mean_rewards and not self.task.knows_mean_reward:
            found.append(
                f"ppo.mean_rewards is on, but {self.task.family} does not know the mean reward of a step;"
                " switch it off"
            )
        if self.policy.exchangeable_actions:
            found += self._exchange_problems()
        return found + self.env.conflicts() + action_problems(self.env.action_space())

    def _exchange_problems(self) -> list[str]:
        """Return a message for each reason why actions cannot share one network."""
        if not self.task.exchangeable_actions:
            return [
                f"policy.exchangeable_actions is on, but actions of {self.task.family} mean something by"
                " themselves; switch it off"
            ]
        space = self.env.action_space()
        if not isinstance(space, spaces.Discrete) or space.n != self.task.num_actions:
            return [
                f"policy.exchangeable_actions is on, but {self.task.family} has {self.task.num_actions}"
                f" actions of object-level RL for the space {space}; switch it off"
            ]
        if not action_starts(self.env.layout):
            return [
                "policy.exchangeable_actions is on, but the policy sees nothing of single actions; switch"
                " features.previous_action on"
            ]
        return []

    def validate(self) -> None:
        """Check the whole configuration.

        Raises:
          ConfigError: listing every problem found.
        """
        if found := problems(self):
            raise ConfigError(found)
