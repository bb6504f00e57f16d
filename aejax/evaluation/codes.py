"""What a code tells and how: active units, information, saturation, sensitivity. Collapse shows here."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float, Key, PyTree

from aejax.autoencoders import Autoencoder
from aejax.evaluation.representation import map_over_examples
from aejax.jacobian import estimate_frobenius_norm_squared, frobenius_norm_squared, saturation
from aejax.sampling import gaussian_log_prob, reparameterize

ACTIVE_VARIANCE = 0.01  # of a posterior's mean over the data, above which a unit is active, as Burda et al. have it
COLLAPSED_FRACTION = 0.1  # of active units, below which a posterior is said to have collapsed
_MOST_EXAMPLES = 2000  # for what compares all pairs of examples, or takes a Jacobian of each
_MOST_ROWS, _MOST_WATCHED = 4000, 200  # of Jacobians at every evaluation of a run, and of its examples
_MOST_ROWS_IN_THE_END = 100_000  # of Jacobians once it is trained, of which _MOST_ROWS are held at a time
_PROJECTIONS = 8  # that estimate the norm of a Jacobian of more rows than these
_MOST_PROJECTED, _MOST_WATCHED_PROJECTED = 8e6, 1e6  # numbers of examples, times projections; of the second each time


class CodeStatistics(NamedTuple):
    """Of the codes of one split; what a family does not have is None."""

    units: int  # K, the numbers of a code
    active_units: int  # that vary over the examples
    nonzero_fraction: float  # of all entries of all codes
    frobenius_norm: float  # mean of ‖∂h/∂x‖_F over the examples
    saturation: float | None = None  # fraction of entries within 0.05 of a bound of the code's activation
    kl_per_unit: np.ndarray | None = None  # (K,) in nats, means over the examples, where the prior has them
    mutual_information: float | None = None  # I(x; z) in nats; at most log N

    def as_dict(self) -> dict[str, float]:
        """What there is, by name, the divergences by unit as `kl/1`, `kl/2`, ..."""
        values = {name: value for name, value in self._asdict().items() if isinstance(value, int | float)}
        by_unit = () if self.kl_per_unit is None else self.kl_per_unit
        return values | {f"kl/{unit + 1}": float(value) for unit, value in enumerate(by_unit)}

    @property
    def is_collapsed(self) -> bool:
        """Whether a variational autoencoder makes next to no use of its code."""
        return self.mutual_information is not None and self.active_units < COLLAPSED_FRACTION * self.units


def code_statistics(
    autoencoder: Autoencoder,
    params: PyTree,
    key: Key[Array, ""],
    x: np.ndarray,
    *condition: np.ndarray,
    bounds: tuple[float, float] | None = None,
    batch_size: int = 500,
) -> CodeStatistics:
    """Statistics of the codes of N examples.

    The Jacobian and the mutual information are taken over the first 2,000 at most, the Jacobian over so many that all
    have 100,000 rows (or columns, where they are fewer). Where one has more than 4,000 of both, its norm is estimated
    from 8 projections, and over fewer examples.

    Args:
      autoencoder: any.
      params: its parameters.
      key: of the samples for the mutual information.
      x: (N, ...) examples.
      *condition: (N, ...), where there is one.
      bounds: of the code's activation, (0, 1) for a sigmoid; None where it has none.
      batch_size: examples at a time.

    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> params = vae.init(jax.random.key(0), np.ones(5, np.float32))
    >>> code_statistics(vae, params, jax.random.key(1), np.ones((7, 5), np.float32)).is_collapsed
    True
    """

    def over_examples(function: Callable[..., PyTree], examples: int, at_a_time: int = batch_size) -> PyTree:
        arrays = [array[:examples] for array in (x, *condition)]
        return jax.device_get(map_over_examples(function, params, *arrays, batch_size=at_a_time))

    some = min(len(x), _MOST_EXAMPLES)
    rows = _rows(autoencoder, params, *(array[0] for array in (x, *condition)))
    norm_of, watched = _frobenius_norm_of(
        rows, x[0].size, most_rows=_MOST_ROWS_IN_THE_END, most_numbers=_MOST_PROJECTED
    )
    at_a_time = batch_size if norm_of is _estimated_norm else min(max(_MOST_ROWS // rows, 1), batch_size)
    norms = over_examples(partial(norm_of, autoencoder), min(some, watched), at_a_time)
    frobenius_norm = float(np.mean(norms, dtype=np.float64))
    if autoencoder.posterior is None or autoencoder.prior is None:
        codes = over_examples(lambda params, *one: autoencoder.encode(params, *one).reshape(-1), len(x))
        active = is_active(codes, threshold=1e-12 * float(np.max(np.square(codes))))
        saturated = None if bounds is None else saturation(jnp.asarray(codes), low=bounds[0], high=bounds[1]).item()
        return _statistics(codes, active, frobenius_norm, saturation=saturated)
    posterior, prior = autoencoder.posterior, autoencoder.prior

    def flat(params: PyTree, *one: Array) -> list[Array]:
        mean, log_variance = posterior(params, *one)
        divergence = prior(params).kl_per_dimension
        by_unit = [] if divergence is None else [divergence(mean, log_variance)]
        return [array.reshape(-1) for array in (mean, log_variance, *by_unit)]

    means, log_variances, *by_unit = over_examples(flat, len(x))
    kl_per_unit = np.mean(by_unit[0], axis=0, dtype=np.float64) if by_unit else None
    return _statistics(
        means,
        is_active(means, threshold=ACTIVE_VARIANCE),
        frobenius_norm,
        kl_per_unit=kl_per_unit,
        mutual_information=mutual_information(key, means[:some], log_variances[:some]).item(),
    )


def make_mean_frobenius_norm(
    autoencoder: Autoencoder, params: PyTree, x: np.ndarray, *condition: np.ndarray
) -> Callable[[PyTree], float]:
    """Compile `params -> mean ‖∂h/∂x‖_F` over a few of N examples, always the same, to watch it while a run goes on.

    They are the first 200, or so many that their Jacobians have 4,000 rows in all: the cost is a small part of an
    epoch's for any encoder. A Jacobian that alone has more is estimated from 8 projections.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> linear = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> x = np.ones((7, 5), np.float32)
    >>> params = linear.init(jax.random.key(0), x[0])
    >>> kernel = params["encoder"]["params"]["Dense_0"]["kernel"]
    >>> bool(np.isclose(make_mean_frobenius_norm(linear, params, x)(params), np.linalg.norm(kernel), rtol=1e-6))
    True
    """
    rows = _rows(autoencoder, params, *(array[0] for array in (x, *condition)))
    norm_of, watched = _frobenius_norm_of(rows, x[0].size, most_rows=_MOST_ROWS, most_numbers=_MOST_WATCHED_PROJECTED)
    few = min(len(x), watched, _MOST_WATCHED)
    arrays = [np.asarray(array[:few]) for array in (x, *condition)]

    @jax.jit
    def mean_norm(params: PyTree, *arrays: Array) -> Array:
        return jnp.mean(jax.lax.map(lambda one: norm_of(autoencoder, params, *one), arrays, batch_size=few))

    return lambda params: float(mean_norm(params, *arrays))


def _rows(autoencoder: Autoencoder, params: PyTree, *first: np.ndarray) -> int:
    """Of the Jacobian of one example, or its columns, if they are fewer."""
    return min(jax.eval_shape(autoencoder.encode, params, *first).size, first[0].size)


def _frobenius_norm_of(
    rows: int, size: int, *, most_rows: int, most_numbers: float
) -> tuple[Callable[..., Array], int]:
    """How ‖∂h/∂x‖_F is computed, (autoencoder, params, x, *condition) -> norm, and of how many examples at most.

    Args:
      rows: of the Jacobian of one example.
      size: the numbers of an example.
      most_rows: of all exact Jacobians.
      most_numbers: of all examples, times projections, where the norm is estimated.
    """
    if rows > _MOST_ROWS:
        return _estimated_norm, max(1, int(most_numbers // (_PROJECTIONS * size)))
    return _frobenius_norm, max(1, most_rows // rows)


def _frobenius_norm(autoencoder: Autoencoder, params: PyTree, x: Array, *condition: Array) -> Array:
    return jnp.sqrt(frobenius_norm_squared(lambda x: autoencoder.encode(params, x, *condition), x, method="auto"))


def _estimated_norm(autoencoder: Autoencoder, params: PyTree, x: Array, *condition: Array) -> Array:
    def encode(x: Array) -> Array:
        return autoencoder.encode(params, x, *condition)

    key = jax.random.key(0)  # the same directions for every example and at every evaluation
    return jnp.sqrt(estimate_frobenius_norm_squared(key, encode, x, num_projections=_PROJECTIONS, mode="forward"))


def is_active(codes: np.ndarray, *, threshold: float = ACTIVE_VARIANCE) -> np.ndarray:
    """Whether each unit of codes (N, K) has a variance above the threshold over the examples: (K,) booleans.

    Source: Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance Weighted Autoencoders, section 5.2, where the codes
    are the means of the posterior and the threshold is 0.01.

    >>> is_active(np.array([[0.0, 3.0], [1.0, 3.0]])).tolist()
    [True, False]
    """
    return np.var(codes, axis=0, dtype=np.float64) > threshold


def mutual_information(
    key: Key[Array, ""], mean: Float[Array, "N K"], log_variance: Float[Array, "N K"]
) -> Float[Array, ""]:
    """I(x; z) = E [log q(z | x) - log q(z)], q(z) = (1/N) Σₙ q(z | xₙ), by one sample of z of each posterior, in nats.

    Never coupled to more examples than these N; between 0 and log N but for the noise of the samples.

    Args:
      key: a key, not used elsewhere.
      mean: μ of N posteriors.
      log_variance: log σ² of them.

    Source: M. D. Hoffman, M. J. Johnson (2016), ELBO surgery, eq. 9.

    >>> mutual_information(jax.random.key(0), jnp.zeros((5, 2)), jnp.zeros((5, 2))).item()
    0.0
    """
    codes = jax.vmap(reparameterize)(jax.random.split(key, len(mean)), jnp.asarray(mean), jnp.asarray(log_variance))
    to_all = jax.vmap(gaussian_log_prob, in_axes=(None, 0, 0))

    def pointwise(posteriors: tuple[Array, Array], code: Array, index: Array) -> Array:
        log_densities = to_all(code, *posteriors)
        return log_densities[index] - logsumexp(log_densities) + jnp.log(jnp.asarray(len(mean), code.dtype))

    return jnp.mean(map_over_examples(pointwise, (mean, log_variance), codes, jnp.arange(len(mean)), batch_size=100))


def _statistics(codes: np.ndarray, active: np.ndarray, frobenius_norm: float, **others: Any) -> CodeStatistics:
    return CodeStatistics(codes.shape[1], int(active.sum()), float(np.mean(codes != 0)), frobenius_norm, **others)
