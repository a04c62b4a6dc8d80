"""The PyTorch peer: nn.GRU, bandits vectorised in NumPy, the usual loop in Python."""

import numpy as np
import torch  # pyright: ignore[reportMissingImports]
from peers_setting import Setting
from torch import nn  # pyright: ignore[reportMissingImports]


class ActorCritic(nn.Module):
    """Input layer → GRU → a head for the actor and one for the critic; time leads."""

    def __init__(self, setting: Setting):
        """Make the layers."""
        super().__init__()
        self.inputs = nn.Linear(setting.arms + 3, setting.width)
        self.core = nn.GRU(setting.width, setting.width)
        self.actor = nn.Linear(setting.width, setting.arms)
        self.critic = nn.Linear(setting.width, 1)
        nn.init.orthogonal_(self.actor.weight, 0.01)
        nn.init.zeros_(self.actor.bias)

    def forward(self, carry: torch.Tensor | None, observations: torch.Tensor):
        """Return the memory, log-probabilities [T, B, A] and values [T, B]."""
        features, carry = self.core(torch.tanh(self.inputs(observations)), carry)
        return carry, torch.log_softmax(self.actor(features), -1), self.critic(features)[..., 0]


class Bandits:
    """A batch of bandits, and what the network sees of their trials."""

    def __init__(self, setting: Setting, rng: np.random.Generator):
        """Draw them."""
        self.setting, self.rng, self.time = setting, rng, 0
        self.probabilities = rng.random((setting.tasks, setting.arms))
        self.tasks = np.arange(setting.tasks)
        self.seen = np.zeros((setting.tasks, setting.arms + 3), np.float32)
        self.seen[:, -2] = 1.0

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Return the rewards of a pull each."""
        rewards = self.rng.random(self.setting.tasks) < self.probabilities[self.tasks, actions]
        self.time += 1
        self.seen[:] = 0.0
        self.seen[self.tasks, actions] = 1.0
        self.seen[:, -3] = rewards
        self.seen[:, -1] = self.time / self.setting.horizon
        return rewards.astype(np.float32)


class PyTorch:
    """The contestant."""

    def __init__(self, setting: Setting):
        """Make network and optimiser."""
        torch.manual_seed(setting.seed)
        self.setting, self.rng = setting, np.random.default_rng(setting.seed)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.network = ActorCritic(setting).to(self.device)
        self.optimiser = torch.optim.Adam(self.network.parameters(), lr=setting.learning_rate)
        self.history: list[float] = []
        self.versions = {"torch": torch.__version__, "numpy": np.__version__}

    def run(self, iterations: int) -> None:
        """Train."""
        for _ in range(iterations):
            batch = self.rollout()
            for _ in range(self.setting.epochs):
                order = self.rng.permutation(self.setting.tasks)
                for trials in np.array_split(order, self.setting.minibatches):
                    self.descend([x[:, trials] for x in batch])

    def returns(self) -> list[float]:
        """Return the mean return of each iteration so far."""
        return self.history

    @torch.inference_mode()
    def rollout(self) -> list[torch.Tensor]:
        """Return observations, actions, log-probabilities, advantages and returns, [T, B, …]."""
        setting, carry = self.setting, None
        bandits = Bandits(setting, self.rng)
        shape = (setting.horizon, setting.tasks)
        observations = torch.empty((*shape, setting.arms + 3), device=self.device)
        actions = torch.empty(shape, dtype=torch.int64, device=self.device)
        log_probs, values = torch.empty(shape, device=self.device), torch.empty(shape, device=self.device)
        rewards = np.empty(shape, np.float32)
        for t in range(setting.horizon):
            observations[t] = torch.from_numpy(bandits.seen)
            carry, log_policy, values[t : t + 1] = self.network(carry, observations[t : t + 1])
            actions[t] = torch.multinomial(log_policy[0].exp(), 1)[:, 0]
            log_probs[t] = log_policy[0].gather(-1, actions[t, :, None])[:, 0]
            rewards[t] = bandits.step(actions[t].cpu().numpy())
        self.history.append(float(rewards.sum(0).mean()))
        advantages = torch.from_numpy(self.advantages(rewards, values.cpu().numpy())).to(self.device)
        return [observations, actions, log_probs, advantages, advantages + values]

    def advantages(self, rewards: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return generalised advantage estimates [T, B]; nothing follows the last step."""
        setting, advantages = self.setting, np.zeros_like(rewards)
        advantage = next_value = np.zeros(setting.tasks, np.float32)
        for t in reversed(range(setting.horizon)):
            error = rewards[t] + setting.discount * next_value - values[t]
            advantage = error + setting.discount * setting.gae_lambda * advantage
            advantages[t], next_value = advantage, values[t]
        return advantages

    def descend(self, minibatch: list[torch.Tensor]) -> None:
        """Make one gradient step of PPO on whole trials."""
        setting = self.setting
        observations, actions, old_log_probs, advantages, returns = minibatch
        _, log_policy, values = self.network(None, observations)
        log_probs = log_policy.gather(-1, actions[..., None])[..., 0]
        ratio = (log_probs - old_log_probs).exp()
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        clipped = ratio.clamp(1 - setting.clip, 1 + setting.clip)
        surrogate = torch.minimum(ratio * advantages, clipped * advantages).mean()
        entropy = -(log_policy.exp() * log_policy).sum(-1).mean()
        error = ((values - returns) ** 2).mean()
        loss = setting.critic_coefficient * error - surrogate - setting.entropy_bonus * entropy
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), setting.max_grad_norm)
        self.optimiser.step()
