"""Exact draws from Beta distributions, many at once, where `jax.random.beta` draws one after the other.

Drawn so they are faster on a CPU, and a draw among many costs less than one among few
(docs/measurements.md).
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray


def log_gamma_draws(key: PRNGKeyArray, shape: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return log g, one draw g ~ Gamma(a) for each a > 0. The key is consumed.

    Marsaglia and Tsang 2000: with d = a − 1/3 and c = 1/√(9d), draw x ~ Normal(0, 1) and u ~ U(0, 1) and
    let v = (1 + cx)³; then g = dv if v > 0 and log u < x²/2 + d(1 − v + log v), else draw again: at most 5 %
    of the draws. It needs a ≥ 1; for a smaller a, g = g' u^(1/a) with g' ~ Gamma(a + 1) (their section 6).

    Args:
      key: consumed.
      shape: a, the shape parameter of each draw.
    """
    key_rounds, key_boost = jax.random.split(key)
    small = shape < 1.0
    d = jnp.where(small, shape + 1.0, shape) - 1.0 / 3.0
    c = 1.0 / jnp.sqrt(9.0 * d)

    def propose(carry: tuple[Int[Array, ""], Array, Bool[Array, "*n"]]):
        time, log_v, accepted = carry
        key_x, key_u = jax.random.split(jax.random.fold_in(key_rounds, time))
        x = jax.random.normal(key_x, shape.shape)
        log_u = jnp.log1p(-jax.random.uniform(key_u, shape.shape))
        root = 1.0 + c * x
        proposed = 3.0 * jnp.log(jnp.maximum(root, jnp.finfo(root.dtype).tiny))
        bound = 0.5 * x**2 + d * (1.0 - root**3 + proposed)
        accepts = (root > 0.0) & (log_u < bound)
        return time + 1, jnp.where(accepted, log_v, proposed), accepted | accepts

    start = jnp.int32(0), jnp.zeros_like(d), jnp.zeros(d.shape, bool)
    _, log_v, _ = jax.lax.while_loop(lambda carry: ~carry[2].all(), propose, start)
    boost = jnp.log1p(-jax.random.uniform(key_boost, shape.shape)) / shape
    return jnp.log(d) + log_v + jnp.where(small, boost, 0.0)


def log_odds_draws(
    key: PRNGKeyArray, wins: Float[Array, "*n"], losses: Float[Array, "*n"]
) -> Float[Array, "*n"]:
    """Return log p/(1 − p), one draw p ~ Beta(α, β) for each pair of parameters. The key is consumed.

    p/(1 − p) is the ratio of a draw from Gamma(α) and one from Gamma(β). As a logarithm it does not
    round near p = 1, as p itself does.

    Args:
      key: consumed.
      wins: α of each draw.
      losses: β of each draw.
    """
    # One flat row: on a CPU, loops over short last axes are slower (docs/measurements.md).
    log_g = log_gamma_draws(key, jnp.concatenate([wins.ravel(), losses.ravel()]))
    return (log_g[: wins.size] - log_g[wins.size :]).reshape(wins.shape)
