"""Acts with a trained agent by NumPy alone: what its two files hold, and what they mean.

    python examples/numpy_agent.py rl3_jax/agents/mdp-100-rl3

prints what the agent makes of an observation of zeros. `NumpyAgent` reads `agent.json` and
`actor.safetensors`, and computes the probabilities of actions from an observation (docs/design.md, section
6), for policies whose core is `markov`, `gru` or `mingru`.
"""

import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

ACTIVATIONS = {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0)}

OBJECT_RL = ("advantages", "value", "counts", "standard_errors")
PER_ACTION = ("previous_action", "advantages", "counts", "standard_errors")
"""Parts of an observation with a number for each action."""


def read_safetensors(file: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file: eight bytes say how long its JSON header is, the numbers follow."""
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header, numbers = json.loads(content[8 : 8 + length]), content[8 + length :]
    header.pop("__metadata__", None)
    arrays = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        arrays[name] = np.frombuffer(numbers[start:end], "<f4").reshape(entry["shape"])
    return arrays


class NumpyAgent:
    """A trained agent.

    Attributes:
      weights: its arrays by name, such as `head/kernel`.
      policy: how its network is built.
    """

    def __init__(self, folder: str | Path):
        """Read the agent in a folder; raises a `ValueError` if it is of a kind that is not written here."""
        self.weights = read_safetensors(Path(folder) / "actor.safetensors")
        built = json.loads((Path(folder) / "agent.json").read_text())
        self.policy: dict[str, Any] = built["policy"]
        self.features: dict[str, Any] = built["features"]
        self.task: dict[str, Any] = built["task"]
        if self.policy["core"]["core"] not in ("markov", "gru", "mingru"):
            raise ValueError(f"the core {self.policy['core']['core']} is not written in NumPy")
        if (self.exchangeable or self.gated) and self.task["family"] not in ("bandit", "mdp"):
            raise ValueError(f"the layout of observations of {self.task['family']} is not written in NumPy")
        if self.task["family"] in ("point-robot", "reacher"):
            raise ValueError(
                f"actions of {self.task['family']} are vectors; these are probabilities of integers"
            )

    @property
    def exchangeable(self) -> bool:
        """Whether all actions share one network, in which each has units and a memory of its own."""
        return self.policy.get("exchangeable_actions", False)

    @property
    def gated(self) -> bool:
        """Whether each part that comes from object-level RL is multiplied by a gate."""
        return "gates/factors" in self.weights

    @property
    def num_actions(self) -> int:
        """How many actions a bandit or a random MDP has."""
        return self.task["num_arms" if self.task["family"] == "bandit" else "actions"]

    @property
    def layout(self) -> dict[str, slice]:
        """Where each part stands in an observation, of a bandit or a random MDP."""
        states = self.task.get("states", 0)  # a bandit shows none
        actions = self.num_actions
        sizes = {"state": states, "previous_state": states, "previous_action": actions, "previous_reward": 1}
        sizes |= {"trial_start": 1, "episode_time": 1, "trial_time": 1}
        sizes |= {"advantages": actions, "value": 1, "counts": actions, "standard_errors": actions}
        parts, start = {}, 0
        for name, size in sizes.items():
            if self.features[name] and size:
                parts[name] = slice(start, start + size)
                start += size
        return parts

    @property
    def observation_size(self) -> int:
        """How many numbers an observation has."""
        if self.exchangeable:
            return max(part.stop for part in self.layout.values())
        return len(self.weights["inputs_0/kernel"])

    def initial_memory(self) -> np.ndarray:
        """Return the memory at a trial's first step, a row for each layer of the core."""
        shape = (self.policy["core"].get("layers", 1), self.policy["width"])
        return np.zeros((shape[0], self.num_actions, shape[1]) if self.exchangeable else shape)

    def step(self, memory: np.ndarray, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the memory after one more step, and the probability of each action."""
        if self.gated:
            observation = observation.copy()
            parts = [at for name, at in self.layout.items() if name in OBJECT_RL]
            for gate, part in zip(self.weights["gates/factors"], parts, strict=True):
                observation[part] *= gate
        seen, common = self._apart(observation) if self.exchangeable else (observation, np.zeros(0))
        for layer in range(len(self.policy["input_layers"]) + 1):
            name = f"inputs_{layer}"
            if self.exchangeable:
                pooled = np.concatenate([seen.mean(axis=0), seen.max(axis=0), common])
                seen, common = self._dense(f"{name}/own", seen), np.zeros(0)
                seen = seen + self._dense(f"{name}/all", pooled)
            else:
                seen = self._dense(name, seen)
            seen = ACTIVATIONS[self.policy["activation"]](seen)
        if self.policy["layer_norm"]:
            mean, variance = seen.mean(axis=-1, keepdims=True), seen.var(axis=-1, keepdims=True)
            normal = (seen - mean) / np.sqrt(variance + 1e-6)
            seen = normal * self.weights["normalise/scale"] + self.weights["normalise/bias"]
        memory, features = getattr(self, "_" + self.policy["core"]["core"])(memory, seen)
        if self.policy["read_out"] == "product":
            product = self._dense("read/remembered", features) * self._dense("read/seen", seen)
            features = features + self._dense("read/out", product)
        logits = self._dense("head", features)
        logits = logits[:, 0] if self.exchangeable else logits
        odds = np.exp(logits - logits.max())
        return memory, odds / odds.sum()

    def _apart(self, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the numbers that an observation has of each action, a row for each, and the others."""
        own = [observation[at] for name, at in self.layout.items() if name in PER_ACTION]
        others = [observation[at] for name, at in self.layout.items() if name not in PER_ACTION]
        return np.stack(own, axis=1), np.concatenate([np.zeros(0), *others])

    def _dense(self, name: str, x: np.ndarray) -> np.ndarray:
        return x @ self.weights[f"{name}/kernel"] + self.weights.get(f"{name}/bias", 0.0)

    def _markov(self, memory: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return memory, np.tanh(self._dense("core/hidden", seen))

    def _gru(self, memory: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        (h,) = memory
        reset = sigmoid(self._dense("core/cell/ir", seen) + self._dense("core/cell/hr", h))
        update = sigmoid(self._dense("core/cell/iz", seen) + self._dense("core/cell/hz", h))
        new = np.tanh(self._dense("core/cell/in", seen) + reset * self._dense("core/cell/hn", h))
        h = (1.0 - update) * new + update * h
        return h[None], h

    def _mingru(self, memory: np.ndarray, seen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        after = []
        for layer, h in enumerate(memory):
            gate = sigmoid(self._dense(f"core/layers_{layer}/gate", seen))
            h = h + gate * (self._dense(f"core/layers_{layer}/value", seen) - h)
            after.append(h)
            seen = np.tanh(seen + h)
        return np.stack(after), seen


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1/(1 + e^−x)."""
    return 1.0 / (1.0 + np.exp(-x))


def main() -> None:
    """Show what an agent makes of an observation of zeros."""
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    agent = NumpyAgent(sys.argv[1])
    _, probabilities = agent.step(agent.initial_memory(), np.zeros(agent.observation_size))
    print(
        "to an observation of zeros, action: probability:",
        ", ".join(f"{a}: {p:.3f}" for a, p in enumerate(probabilities)),
    )


if __name__ == "__main__":
    main()
