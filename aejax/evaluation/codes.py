"""What codes say of their examples: units that vary, and information."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Key, Shaped

from aejax.checks import as_float64, check_floating, check_same_shape
from aejax.evaluation.representation import map_over_examples
from aejax.precision import widened
from aejax.sampling import gaussian_log_prob, reparameterize

ACTIVE_VARIANCE = 0.01  # of a posterior's mean over the data, above which a unit is active, as Burda et al. have it


def is_active(codes: Shaped[np.ndarray, "N K"], *, threshold: float = ACTIVE_VARIANCE) -> Bool[np.ndarray, "K"]:
    """Whether each unit of codes has a variance above the threshold over the examples.

    Args:
      codes: of N examples, at least one.
      threshold: in the square of a code's unit.

    Raises:
      ValueError: codes that are no matrix, or none.
      TypeError: codes that are no real numbers.

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
    """I(n; z) = E [log q(z | xₙ) - log q(z)], q(z) = (1/N) Σₙ q(z | xₙ), by one sample of z of each posterior, in nats.

    It is the information of a code about which of these N examples it belongs to: between 0 and log N but for the noise
    of the samples. For N examples drawn from more it is, in expectation, at most the I(x; z) over all of them, and near
    it only where that is well below log N: a lower bound, saturated where it comes near to log N. An upper bound is
    the mean divergence from a prior, whichever it is.

    Args:
      key: a key, not used elsewhere.
      mean: μ of N posteriors, at least one.
      log_variance: log σ² of them.

    Raises:
      ValueError: shapes that differ, or are not (N, K).
      TypeError: inputs that are not of a floating type.

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
    to_all = jax.vmap(gaussian_log_prob, in_axes=(None, 0, 0))

    def pointwise(posteriors: tuple[Array, Array], code: Array, index: Array) -> Array:
        log_densities = to_all(code, *posteriors)
        return log_densities[index] - logsumexp(log_densities) + jnp.log(jnp.asarray(len(mean), code.dtype))

    return jnp.mean(map_over_examples(pointwise, (mean, log_variance), codes, jnp.arange(len(mean)), batch_size=100))
