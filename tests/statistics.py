"""Comparing samples with what they should be on average."""

import numpy as np


def assert_mean(sample, expected, *, standard_errors=4.0):
    """The sample's mean is within a few standard errors of what is expected; samples along axis 0."""
    sample = np.asarray(sample, np.float64)
    error = sample.std(axis=0, ddof=1) / np.sqrt(len(sample))
    distance = np.abs(sample.mean(axis=0) - expected)
    assert (distance <= standard_errors * error).all(), (sample.mean(axis=0), expected, error)
