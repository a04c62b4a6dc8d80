"""The object level of wrapped gymnax environments, in loops."""

import math

import numpy as np


def bin_of(x, bounds, bins):
    """Return Σ_i ⌊b_i (x_i − low_i)/(high_i − low_i)⌋ Π_{j>i} b_j, each factor within [0, b_i − 1]."""
    flat = 0
    for value, (low, high), number in zip(x, bounds, bins, strict=True):
        place = math.floor(number * (value - low) / (high - low))
        flat = flat * number + min(max(place, 0), number - 1)
    return flat


def reacher_step(angles, speeds, torque, lengths, goal):
    """Return angles and speeds after 0.05 seconds, and exp(−|tip − goal|²) there."""
    speeds = [speed + 0.05 * force for speed, force in zip(speeds, torque, strict=True)]
    angles = [angle + 0.05 * speed for angle, speed in zip(angles, speeds, strict=True)]
    x = sum(length * math.cos(angle) for length, angle in zip(lengths, angles, strict=True))
    y = sum(length * math.sin(angle) for length, angle in zip(lengths, angles, strict=True))
    return np.array(angles), np.array(speeds), math.exp(-((x - goal[0]) ** 2) - (y - goal[1]) ** 2)
