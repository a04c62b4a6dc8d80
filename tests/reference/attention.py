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


def linear_read(query, keys, values):
    """Σ_s w_s v_s / Σ_s w_s of one head, w_s = φ(q)·φ(k_s) (Katharopoulos et al. 2020, equation 9)."""

    def phi(x):
        return np.array([number + 1.0 if number > 0 else np.exp(number) for number in x])

    weights = [phi(query) @ phi(key) for key in keys]
    return sum(w * value for w, value in zip(weights, values, strict=True)) / (sum(weights) + 1e-6)


def core(params, inputs, heads, read):
    """The outputs [T, W] of one trial: each step reads all steps up to it, afresh in each layer."""
    hidden = [np.asarray(x, np.float64) for x in inputs]
    if "positions" in params:
        hidden = [x + position for x, position in zip(hidden, params["positions"], strict=False)]
    layers = sum(name.startswith("blocks_") for name in params)
    for index in range(layers):
        hidden = layer(params[f"blocks_{index}"], hidden, heads, read)
    return np.array([layer_norm(params["norm"], x) for x in hidden])


def layer(params, hidden, heads, read):
    """x + out(what the heads read), then x + contract(relu(expand(norm(x)))²), at each step."""
    normed = [layer_norm(params["mix_norm"], x) for x in hidden]
    queries, keys, values = (
        [np.split(linear(params[name], x), heads) for x in normed] for name in ("queries", "keys", "values")
    )
    outputs = []
    for step, x in enumerate(hidden):
        mixed = [
            read(
                queries[step][head],
                [keys[past][head] for past in range(step + 1)],
                [values[past][head] for past in range(step + 1)],
            )
            for head in range(heads)
        ]
        between = x + linear(params["out"], np.concatenate(mixed))
        expanded = linear(params["expand"], layer_norm(params["forward_norm"], between))
        outputs.append(between + linear(params["contract"], np.maximum(expanded, 0.0) ** 2))
    return outputs
