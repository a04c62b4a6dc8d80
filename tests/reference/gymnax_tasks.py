"""The object level of wrapped gymnax environments, in loops."""

import math


def bin_of(x, bounds, bins):
    """Return Σ_i ⌊b_i (x_i − low_i)/(high_i − low_i)⌋ Π_{j>i} b_j, each factor within [0, b_i − 1]."""
    flat = 0
    for value, (low, high), number in zip(x, bounds, bins, strict=True):
        place = math.floor(number * (value - low) / (high - low))
        flat = flat * number + min(max(place, 0), number - 1)
    return flat
