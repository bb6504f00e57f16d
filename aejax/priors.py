"""What codes are drawn from: a distribution of one code, as a record of pure functions."""

from collections.abc import Callable
from typing import NamedTuple

import jax
from jaxtyping import Array

from aejax.divergences import gaussian_kl


class Prior(NamedTuple):
    """The distribution p(z) of one code, and its divergence from a diagonal Gaussian posterior."""

    sample: Callable[[Array, tuple[int, ...]], Array]  # (key, shape of a code) -> code
    kl: Callable[[Array, Array], Array]  # (mean, log_variance) -> KL(N(mean, variance) ‖ p), in nats


def standard_normal() -> Prior:
    """N(0, I), with the analytic divergence.

    >>> import jax.numpy as jnp
    >>> standard_normal().kl(jnp.ones(3), jnp.zeros(3)).item()
    1.5
    """
    return Prior(sample=lambda key, shape: jax.random.normal(key, shape), kl=gaussian_kl)
