"""What every contestant of `peers.py` trains on, and how; any Python can load it, whatever is installed."""

import dataclasses
from typing import Protocol


@dataclasses.dataclass(frozen=True)
class Setting:
    """RL² on Bernoulli bandits by PPO, with the same numbers for all.

    A trial is `horizon` pulls of one bandit. What the network sees before each: the last arm (one-hot), its
    reward, whether there was none yet, and the time. Input layer → GRU (or another core of this project) →
    a head for the actor and one for the critic; an iteration collects `tasks` whole trials and makes
    `epochs` passes over them, in `minibatches` of whole trials. The optimiser is Adam.

    Attributes:
      arms: of a bandit; each pays 1 with its own probability, drawn uniformly.
      tasks: trials an iteration.
      horizon: steps of a trial.
      width: units of the input layer and of the core.
      epochs: passes over an iteration's trials.
      minibatches: of an epoch; divides `tasks`.
      learning_rate: of Adam.
      discount: γ.
      gae_lambda: λ of the advantage estimates.
      clip: ε of PPO's objective.
      entropy_bonus: factor of the entropy.
      critic_coefficient: factor of the critic's mean squared error.
      max_grad_norm: norm to which gradients are clipped.
      seed: of everything random.
    """

    arms: int = 5
    tasks: int = 256
    horizon: int = 100
    width: int = 64
    epochs: int = 4
    minibatches: int = 8
    learning_rate: float = 3e-3
    discount: float = 0.9
    gae_lambda: float = 0.9
    clip: float = 0.2
    entropy_bonus: float = 0.01
    critic_coefficient: float = 0.01
    max_grad_norm: float = 1.0
    seed: int = 0

    @property
    def steps(self) -> int:
        """Environment steps an iteration."""
        return self.tasks * self.horizon

    @property
    def operations(self) -> int:
        """Floating-point operations of a GRU's matrix products, for each step of training.

        A multiplication and an addition for each weight; once in the rollout, and three times in each epoch:
        forward, gradient of the inputs, gradient of the weights.
        """
        weights = self.width * (self.arms + 3) + 6 * self.width**2 + self.width * (self.arms + 1)
        return 2 * weights * (1 + 3 * self.epochs)


class Contestant(Protocol):
    """A trainer. Making it builds and compiles all it needs."""

    versions: dict[str, str]
    """Of the libraries that it computes with."""
    device: str
    """What it computes on."""

    def run(self, iterations: int) -> None:
        """Train, and return once the result is there."""
        ...

    def returns(self) -> list[float]:
        """Return a trial's mean return in each iteration of one training, as long as all runs together."""
        ...
