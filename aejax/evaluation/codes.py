"""Informativeness of codes: active units and mutual information."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Key, Shaped

from aejax.checks import as_float64, check_floating, check_same_shape
from aejax.evaluation.representation import map_over_examples
from aejax.precision import widened
from aejax.sampling import gaussian_log_prob, reparameterize

ACTIVE_VARIANCE = 0.01  # a unit is active if its posterior mean has a larger variance over the data (Burda et al.)


def is_active(codes: Shaped[np.ndarray, "N K"], *, threshold: float = ACTIVE_VARIANCE) -> Bool[np.ndarray, "K"]:
    """Returns whether each unit is active, that is, has a variance over the examples above a threshold.

    Args:
      codes: codes of N >= 1 examples.
      threshold: in the square of the code's unit.

    Raises:
      TypeError: the codes are not real numbers.
      ValueError: the codes are not a matrix with at least one row.

    Source: Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance Weighted Autoencoders, section 5.2, where the codes
    are the means of the posterior and the threshold is 0.01.

    >>> is_active(np.array([[0.0, 3.0], [1.0, 3.0]])).tolist()
    [True, False]
    """
    matrix = as_float64("codes", codes)
    if matrix.ndim != 2 or len(matrix) == 0:
        raise ValueError(f"codes must have shape (examples, units), at least one example, got {matrix.shape}")
    return np.var(matrix, axis=0) > threshold


def mutual_information(
    key: Key[Array, ""], mean: Float[Array, "N K"], log_variance: Float[Array, "N K"]
) -> Float[Array, ""]:
    """Returns an estimate of the mutual information of code and example index over N examples, in nats.

        I(n; z) = E [log q(z | xₙ) - log q(z)],  q(z) = (1/N) Σₙ q(z | xₙ),

    with one sample of z from each posterior. It lies between 0 and log N, up to sampling noise. If the N examples are a
    sample of a larger set, it is in expectation a lower bound of I(x; z) over that set, which is tight only if I(x; z)
    is well below log N: near log N the estimate is saturated. The mean divergence from any prior is an upper bound.

    Args:
      key: a random key, not used elsewhere.
      mean: μ of N >= 1 Gaussian posteriors.
      log_variance: log σ² of the posteriors.

    Raises:
      TypeError: an argument is not of a floating type.
      ValueError: shapes differ or are not (N, K).

    Source: M. D. Hoffman, M. J. Johnson (2016), ELBO surgery, eq. 9; as a bound: B. Poole et al. (2019), On Variational
    Bounds of Mutual Information, eq. 12.

    >>> mutual_information(jax.random.key(0), jnp.zeros((5, 2)), jnp.zeros((5, 2))).item()
    0.0
    """
    check_floating(mean=mean, log_variance=log_variance)
    check_same_shape(mean=mean, log_variance=log_variance)
    if jnp.ndim(mean) != 2 or len(mean) == 0:
        raise ValueError(f"mean must have shape (examples, units), at least one example, got {jnp.shape(mean)}")
    mean, log_variance = (widened(array) for array in (mean, log_variance))
    codes = jax.vmap(reparameterize)(jax.random.split(key, len(mean)), mean, log_variance)
    log_prob_by_all = jax.vmap(gaussian_log_prob, in_axes=(None, 0, 0))

    def pointwise(posteriors: tuple[Array, Array], code: Array, index: Array) -> Array:
        log_densities = log_prob_by_all(code, *posteriors)
        return log_densities[index] - logsumexp(log_densities) + jnp.log(jnp.asarray(len(mean), code.dtype))

    return jnp.mean(map_over_examples(pointwise, (mean, log_variance), codes, jnp.arange(len(mean)), batch_size=100))
