"""A Gaussian squashed into a Box, for actions that are vectors."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from rl3_jax.policies.categorical import PerStep

Outputs = Float[Array, "*steps O"]
Parameters = Float[Array, "*steps P"]
Vector = Float[Array, "*steps n"]

STD_MIN = 0.05
"""Least σ. Below it the rounding of the mean, over σ, is no longer small beside the clip of PPO's ratio."""
STD_START = 0.88
"""σ where the network's output is 0. At mean 0 this squashes to the nearest to uniform: 0.010 nats below."""
STD_MAX = 1.5
"""Largest σ. Above it tanh sends most samples to the bounds, where a wider Gaussian changes nothing."""

_LOG_RANGE = math.log(STD_MAX / STD_MIN)
_START = math.log(STD_START / STD_MIN) / _LOG_RANGE
_OFFSET = math.log(_START / (1.0 - _START))
_LOG_2 = math.log(2.0)
_LOG_2_PI = math.log(2.0 * math.pi)

_NODES, _WEIGHTS = (x.astype(np.float32)[:, None] for x in np.polynomial.hermite_e.hermegauss(12))
# Twelve nodes of E f(z), z ~ Normal(0, 1): the entropy is wrong by 0.002 nats at σ = 1.5, 3e-5 at 0.88.
_WEIGHTS /= _WEIGHTS.sum()


@dataclasses.dataclass(frozen=True)
class SquashedGaussian:
    """A `Distribution` over the box [low, high]: a = c + w tanh(u), u ~ Normal(μ, σ²) in each dimension.

    Here c is the centre of the bounds and w half their width. Sampled, stored and compared is u: the Jacobian
    da/du cancels in each ratio of densities. The parameters are (μ, log σ), both functions of what the policy
    saw: exploration has to fade within a trial, which a free σ, the same at each step, cannot do.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]

    @property
    def num_outputs(self) -> int:
        """A mean and a log standard deviation each dimension."""
        return 2 * len(self.low)

    @property
    def dtype(self) -> Any:
        """The type of an action as it is drawn."""
        return jnp.float32

    def parameters(self, outputs: Outputs) -> Parameters:
        """Return (μ, log σ), with log σ held smoothly between its bounds."""
        mean, free = jnp.split(outputs, 2, axis=-1)
        log_std = math.log(STD_MIN) + _LOG_RANGE * jax.nn.sigmoid(free + _OFFSET)
        return jnp.concatenate([mean, log_std], axis=-1)

    def noise(self, key: PRNGKeyArray) -> Float[Array, " n"]:
        """Draw what `sample` needs, a standard normal number each dimension. The key is consumed."""
        return jax.random.normal(key, (len(self.low),))

    def sample(self, noise: Float[Array, " n"], outputs: Float[Array, " O"]) -> Float[Array, " n"]:
        """Return u = μ + σ noise."""
        mean, log_std = jnp.split(self.parameters(outputs), 2, axis=-1)
        return mean + jnp.exp(log_std) * noise

    def mode(self, outputs: Float[Array, " O"]) -> Float[Array, " n"]:
        """Return u = μ, the median of u and, squashed, of the action."""
        return jnp.split(outputs, 2, axis=-1)[0]

    def to_env(self, action: Vector) -> Vector:
        """Return c + w tanh(u), within the bounds whatever the rounding."""
        low, high = jnp.asarray(self.low), jnp.asarray(self.high)
        return jnp.clip((low + high) / 2 + self._half_width * jnp.tanh(action), low, high)

    def log_prob(self, parameters: Parameters, action: Vector) -> PerStep:
        """Return log π(a) of a = c + w tanh(u): Σ log Normal(u; μ, σ²) − log da/du over dimensions."""
        mean, log_std = jnp.split(parameters, 2, axis=-1)
        normal = -0.5 * ((action - mean) * jnp.exp(-log_std)) ** 2 - log_std - 0.5 * _LOG_2_PI
        return (normal - self._log_slope(action)).sum(-1)

    def log_ratio(self, parameters: Parameters, other: Parameters, action: Vector) -> PerStep:
        """Return log π(a) − log π'(a), with π' the other policy; there is no Jacobian in it."""
        (mean, log_std), (mean_2, log_std_2) = (jnp.split(p, 2, axis=-1) for p in (parameters, other))
        z, z_2 = (action - mean) * jnp.exp(-log_std), (action - mean_2) * jnp.exp(-log_std_2)
        return (0.5 * (z_2 - z) * (z_2 + z) + log_std_2 - log_std).sum(-1)

    def entropy(self, parameters: Parameters) -> PerStep:
        """Return the differential entropy of a, nats: Σ ½ log(2πe) + log σ + E log da/du over dimensions.

        The expectation is Σ_k w_k log da/du at u = μ + σ z_k, by Gauss–Hermite quadrature. It is what keeps
        μ from where tanh is flat.
        """
        mean, log_std = jnp.split(parameters, 2, axis=-1)
        points = mean[..., None, :] + jnp.exp(log_std)[..., None, :] * _NODES
        slope = (self._log_slope(points) * _WEIGHTS).sum(-2)
        return (0.5 * (_LOG_2_PI + 1.0) + log_std + slope).sum(-1)

    def kl(self, parameters: Parameters, other: Parameters) -> PerStep:
        """Return KL(π‖π') = Σ log(σ'/σ) + (σ² + (μ − μ')²)/(2σ'²) − ½, nats, that of the Gaussians."""
        (mean, log_std), (mean_2, log_std_2) = (jnp.split(p, 2, axis=-1) for p in (parameters, other))
        change = log_std - log_std_2
        shift = (mean - mean_2) * jnp.exp(-log_std_2)
        return (0.5 * (jnp.expm1(2.0 * change) + shift**2) - change).sum(-1)

    @property
    def _half_width(self) -> Float[Array, " n"]:
        return (jnp.asarray(self.high) - jnp.asarray(self.low)) / 2

    def _log_slope(self, u: Vector) -> Vector:
        """Return log da/du = log w + log(1 − tanh² u) = log w + 2 (log 2 − log(e^u + e^−u))."""
        return jnp.log(self._half_width) + 2.0 * (_LOG_2 - jnp.logaddexp(u, -u))
