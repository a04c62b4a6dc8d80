"""Layers without a memory, in float64."""

import numpy as np

NORM_EPSILON = 1e-6
"""What layer normalisation adds to the variance; flax's default."""
ACTIVATIONS = {"none": lambda x: x, "tanh": np.tanh, "relu": lambda x: np.maximum(x, 0.0)}


def layer(params, x, activation="none"):
    """f(x W + b)."""
    x = x @ np.asarray(params["kernel"], np.float64) + np.asarray(params["bias"], np.float64)
    return ACTIVATIONS[activation](x)


def exchangeable_layer(params, x, common, activation):
    """f(U x_a + V [mean_b x_b; max_b x_b; c] + d) of each action a, one after another."""
    shared = layer(params["all"], np.concatenate([x.mean(-2), x.max(-2), common], -1))
    own = np.asarray(params["own"]["kernel"], np.float64)
    units = [x[..., action, :] @ own + shared for action in range(x.shape[-2])]
    return ACTIVATIONS[activation](np.stack(units, -2))


def normalise(params, x):
    """(x − mean)/√(variance + ε) over the last axis, scaled and shifted (Ba et al. 2016)."""
    centred = x - x.mean(-1, keepdims=True)
    normal = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + NORM_EPSILON)
    return normal * np.asarray(params["scale"], np.float64) + np.asarray(params["bias"], np.float64)


def product_read_out(params, output, inputs):
    """h + A((B h) ⊙ (C x))."""
    return output + layer(params["out"], layer(params["remembered"], output) * layer(params["seen"], inputs))
