"""A trial replayed from its transitions: what the meta-policy should see (design, section 6)."""

import numpy as np

PARTS = (
    "state",
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


def parts(transitions, learner, sizes, scales, *, shows_state):
    """Return the H+1 observations of a trial as dicts of parts, from its H transitions.

    Args:
      transitions: H tuples (s, a, r, s', terminated, truncated).
      learner: a twin of the object-level learner that has seen nothing.
      sizes: (S, A, episode_length, H).
      scales: (value_scale, count_scale, reward_scale).
      shows_state: whether the state is part of the observation.
    """
    num_states, num_actions, episode_length, horizon = sizes
    s, episode_time, last = 0, 0, None
    seen = []
    for t in range(len(transitions) + 1):
        q, counts = learner.values(s)
        observation = {
            "state": one_hot(s, num_states),
            "previous_action": np.zeros(num_actions) if last is None else one_hot(last[1], num_actions),
            "previous_reward": [0.0 if last is None else last[2] / scales[2]],
            "trial_start": [float(t == 0)],
            "episode_time": [episode_time / episode_length],
            "trial_time": [t / horizon],
            "advantages": (q - max(q)) / scales[0],
            "value": [max(q) / scales[0]],
            "counts": counts / scales[1],
        }
        if not shows_state:
            del observation["state"]
        seen.append(observation)
        if t < len(transitions):
            last = transitions[t]
            learner.update(*last[:5])
            over = last[4] or episode_time + 1 == episode_length
            s, episode_time = (0, 0) if over else (last[3], episode_time + 1)
    return seen


def assemble(observation, names=PARTS):
    """The flat vector of the named parts, in the design's order."""
    return np.concatenate([np.asarray(observation[name], float) for name in PARTS if name in names])
