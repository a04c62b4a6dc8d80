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
        task: dict[str, Any] = built["task"]
        if self.policy["core"]["core"] not in ("markov", "gru", "mingru"):
            raise ValueError(f"the core {self.policy['core']['core']} is not written in NumPy")
        if task["family"] in ("point-robot", "reacher"):
            raise ValueError(f"actions of {task['family']} are vectors; these are probabilities of integers")

    @property
    def observation_size(self) -> int:
        """How many numbers an observation has."""
        return len(self.weights["inputs_0/kernel"])

    def initial_memory(self) -> np.ndarray:
        """Return the memory at a trial's first step, a row for each layer of the core."""
        return np.zeros((self.policy["core"].get("layers", 1), self.policy["width"]))

    def step(self, memory: np.ndarray, observation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the memory after one more step, and the probability of each action."""
        seen = observation
        for layer in range(len(self.policy["input_layers"]) + 1):
            seen = ACTIVATIONS[self.policy["activation"]](self._dense(f"inputs_{layer}", seen))
        if self.policy["layer_norm"]:
            normal = (seen - seen.mean()) / np.sqrt(seen.var() + 1e-6)
            seen = normal * self.weights["normalise/scale"] + self.weights["normalise/bias"]
        memory, features = getattr(self, "_" + self.policy["core"]["core"])(memory, seen)
        if self.policy["read_out"] == "product":
            product = self._dense("read/remembered", features) * self._dense("read/seen", seen)
            features = features + self._dense("read/out", product)
        logits = self._dense("head", features)
        odds = np.exp(logits - logits.max())
        return memory, odds / odds.sum()

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
