"""A trial replayed from its transitions: what the meta-policy should see (design, section 6)."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

PARTS = (
    "state",
    "previous_state",
    "previous_action",
    "previous_reward",
    "trial_start",
    "episode_time",
    "trial_time",
    "advantages",
    "value",
    "counts",
)


def one_hot(index, size):
    """A vector of zeros with a one."""
    return np.eye(size)[index]


def symlog(x):
    """sign(x) log(1 + |x|)."""
    return np.sign(x) * np.log1p(np.abs(x))


class Shown(NamedTuple):
    """How a trial is shown.

    Attributes:
      state: the vector of a state, or None where the state is no part of the observation.
      squash: what is applied to values, advantages, rewards and counts after their scale.
      start: state in which each episode starts.
      counts: what is made of n / scale; `squash` if it is None.
    """

    state: Callable[[int], Any] | None
    squash: Callable[[Any], Any] = lambda x: x
    start: int = 0
    counts: Callable[[Any], Any] | None = None


def parts(transitions, learner, sizes, scales, shown):
    """Return the H+1 observations of a trial as dicts of parts, from its H transitions.

    Args:
      transitions: H tuples (s, a, r, s', terminated, truncated).
      learner: a twin of the object-level learner that has seen nothing.
      sizes: (S, A, episode_length, H).
      scales: (value_scale, count_scale, reward_scale).
      shown: how things are shown, and where each episode starts.
    """
    _, num_actions, episode_length, horizon = sizes
    squash, start = shown.squash, shown.start
    s, episode_time, last = start, 0, None
    seen = []
    for t in range(len(transitions) + 1):
        q, counts = learner.values(s)
        observation = {
            "state": None if shown.state is None else shown.state(s),
            "previous_state": None if shown.state is None else before(last, shown.state),
            "previous_action": np.zeros(num_actions) if last is None else one_hot(last[1], num_actions),
            "previous_reward": [0.0 if last is None else squash(last[2] / scales[2])],
            "trial_start": [float(t == 0)],
            "episode_time": [episode_time / episode_length],
            "trial_time": [t / horizon],
            "advantages": squash((q - max(q)) / scales[0]),
            "value": [squash(max(q) / scales[0])],
            "counts": (shown.counts or squash)(np.asarray(counts) / scales[1]),
        }
        if shown.state is None:
            del observation["state"], observation["previous_state"]
        seen.append(observation)
        if t < len(transitions):
            last = transitions[t]
            learner.update(*last[:5])
            over = last[4] or episode_time + 1 == episode_length
            s, episode_time = (start, 0) if over else (last[3], episode_time + 1)
    return seen


def before(last, state):
    """What is shown of the state that the last transition left; zeros if there is none."""
    return np.zeros_like(state(0), float) if last is None else state(last[0])


def assemble(observation, names=PARTS):
    """The flat vector of the named parts, in the design's order."""
    return np.concatenate([np.asarray(observation[name], float) for name in PARTS if name in names])
