"""Recurrent cores in loops over float64, one task and one step at a time."""

import numpy as np


def sigmoid(x):
    """1/(1 + e^−x)."""
    return 1.0 / (1.0 + np.exp(-x))


def gru(params, carry, inputs):
    """Memories [T, W] of a GRU after each step of one task, given flax's weights (Cho et al. 2014)."""
    p = {name: {key: np.asarray(x, np.float64) for key, x in gate.items()} for name, gate in params.items()}
    memory, outputs = np.asarray(carry, np.float64), []
    for x in np.asarray(inputs, np.float64):
        reset = sigmoid(x @ p["ir"]["kernel"] + p["ir"]["bias"] + memory @ p["hr"]["kernel"])
        update = sigmoid(x @ p["iz"]["kernel"] + p["iz"]["bias"] + memory @ p["hz"]["kernel"])
        recalled = memory @ p["hn"]["kernel"] + p["hn"]["bias"]
        new = np.tanh(x @ p["in"]["kernel"] + p["in"]["bias"] + reset * recalled)
        memory = (1.0 - update) * new + update * memory
        outputs.append(memory)
    return np.array(outputs)


def gru_gradient(kernel, last, outputs, factors, update):
    """Gradients of a GRU's first memories [B, W] and of those after each step [T, B, W].

    From those of the last memories and of the outputs, with d(gates before nonlinearities) = factors · g.
    """
    arrays = (np.asarray(x, np.float64) for x in (kernel, last, outputs, factors, update))
    kernel, carried, outputs, factors, update = arrays
    found = np.zeros_like(outputs)
    for t in reversed(range(len(outputs))):
        found[t] = carried + outputs[t]
        carried = found[t] * update[t] + (np.tile(found[t], 3) * factors[t]) @ kernel.T
    return carried, found


def recurrence(decay, drive, carry):
    """Memories [T, W] of h_t = a_t h_{t−1} + b_t, as the sum it stands for and not the recursion."""
    decay, drive, carry = (np.asarray(x, np.float64) for x in (decay, drive, carry))
    outputs = []
    for t in range(len(drive)):
        total = decay[: t + 1].prod(0) * carry
        for s in range(t + 1):
            total = total + decay[s + 1 : t + 1].prod(0) * drive[s]
        outputs.append(total)
    return np.array(outputs)


def mingru(params, carry, inputs):
    """Last memories of each layer and outputs [T, W] of a minGRU for one task (Feng et al. 2024)."""
    hidden, last = np.asarray(inputs, np.float64), []
    for index, memory in enumerate(carry):
        gate, value = (
            {key: np.asarray(x, np.float64) for key, x in params[f"layers_{index}"][name].items()}
            for name in ("gate", "value")
        )
        opened = sigmoid(hidden @ gate["kernel"] + gate["bias"])
        memories = recurrence(1.0 - opened, opened * (hidden @ value["kernel"] + value["bias"]), memory)
        last.append(memories[-1])
        hidden = np.tanh(hidden + memories)
    return np.array(last), hidden


def slope(function, arrays, directions, distance=1e-6):
    """(f(x + d v) − f(x − d v)) / 2d of a function of a tree of arrays, as nested dicts and tuples."""
    ahead, behind = (function(_moved(arrays, directions, sign * distance)) for sign in (1.0, -1.0))
    return (ahead - behind) / (2.0 * distance)


def _moved(arrays, directions, distance):
    """x + distance · v, leaf by leaf, in float64."""
    if isinstance(arrays, dict):
        return {key: _moved(arrays[key], directions[key], distance) for key in arrays}
    if isinstance(arrays, tuple):
        return tuple(_moved(x, v, distance) for x, v in zip(arrays, directions, strict=True))
    return np.asarray(arrays, np.float64) + distance * np.asarray(directions, np.float64)
