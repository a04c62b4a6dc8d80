"""The attention cores, one step after another in loops over float64, from the formulas of their papers."""

import numpy as np


def layer_norm(params, x):
    """(x − mean)/√(variance + 1e-6), scaled and moved (Ba et al. 2016)."""
    spread = np.sqrt(((x - x.mean()) ** 2).mean() + 1e-6)
    return (x - x.mean()) / spread * params["scale"] + params["bias"]


def linear(params, x):
    """W x + b, b = 0 where there is none."""
    return x @ params["kernel"] + params.get("bias", 0.0)


def softmax_read(query, keys, values):
    """Σ_s softmax_s(q · k_s / √d) v_s of one head (Vaswani et al. 2017, equation 1)."""
    weights = [np.exp(query @ key / np.sqrt(len(query))) for key in keys]
    return sum(w * value for w, value in zip(weights, values, strict=True)) / sum(weights)


def rotary_read(query, keys, values, window):
    """The same of the last steps, with queries and keys turned by e^{i s θ_j}, θ_j = 10000^(−2j/d).

    Numbers j and j + d/2 are a complex one (Su et al. 2021, section 3.1 and equation 16).
    """
    half = len(query) // 2

    def turned(x, step):
        angles = [step * 10000.0 ** (-2 * j / len(x)) for j in range(half)]
        numbers = (x[:half] + 1j * x[half:]) * np.exp(1j * np.array(angles))
        return np.concatenate([numbers.real, numbers.imag])

    turned_keys = [turned(key, step) for step, key in enumerate(keys)]
    return softmax_read(turned(query, len(keys) - 1), turned_keys[-window:], values[-window:])


def alibi_read(query, keys, values, window, slope):
    """The same of the last steps, with each score less by the slope a step (Press et al. 2022, section 3)."""
    total, norm, now = 0.0, 0.0, len(keys) - 1
    for step in range(max(0, len(keys) - window), len(keys)):
        weight = np.exp(query @ keys[step] / np.sqrt(len(query)) - slope * (now - step))
        total, norm = total + weight * values[step], norm + weight
    return total / norm


def linear_read(query, keys, values):
    """Σ_s w_s v_s / Σ_s w_s of one head, w_s = φ(q)·φ(k_s) (Katharopoulos et al. 2020, equation 9)."""

    def phi(x):
        return np.array([number + 1.0 if number > 0 else np.exp(number) for number in x])

    weights = [phi(query) @ phi(key) for key in keys]
    return sum(w * value for w, value in zip(weights, values, strict=True)) / (sum(weights) + 1e-6)


def core(params, inputs, reads):
    """The outputs [T, W] of one trial: each step reads steps up to it, afresh in each layer.

    There is one function a head, from a query and the keys and values so far to what it reads.
    """
    hidden = [np.asarray(x, np.float64) for x in inputs]
    if "positions" in params:
        hidden = [x + position for x, position in zip(hidden, params["positions"], strict=False)]
    layers = sum(name.startswith("blocks_") for name in params)
    for index in range(layers):
        hidden = layer(params[f"blocks_{index}"], hidden, reads)
    return np.array([layer_norm(params["norm"], x) for x in hidden])


def layer(params, hidden, reads):
    """x + out(what the heads read), then x + contract(relu(expand(norm(x)))²), at each step."""
    normed = [layer_norm(params["mix_norm"], x) for x in hidden]
    queries, keys, values = (
        [np.split(linear(params[name], x), len(reads)) for x in normed]
        for name in ("queries", "keys", "values")
    )
    outputs = []
    for step, x in enumerate(hidden):
        mixed = [
            read(
                queries[step][head],
                [keys[past][head] for past in range(step + 1)],
                [values[past][head] for past in range(step + 1)],
            )
            for head, read in enumerate(reads)
        ]
        between = x + linear(params["out"], np.concatenate(mixed))
        expanded = linear(params["expand"], layer_norm(params["forward_norm"], between))
        outputs.append(between + linear(params["contract"], np.maximum(expanded, 0.0) ** 2))
    return outputs
