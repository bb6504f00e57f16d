"""What a code tells and how: active units, information, saturation, sensitivity. Collapse shows here."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Array, Bool, Float, Key, PyTree, Shaped

from aejax.autoencoders import Autoencoder
from aejax.checks import as_float64, check_floating, check_same_shape
from aejax.evaluation.representation import as_examples, map_over_examples
from aejax.jacobian import estimate_frobenius_norm_squared, frobenius_norm_squared, saturation
from aejax.keys import named_key
from aejax.precision import widened
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
    mutual_information: float | None = None  # estimated in nats; I(x; z) over all data is at least that
    mutual_information_limit: float | None = None  # log N in nats, the most that N examples can show

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
    from 8 projections, independent ones for each example, and over fewer examples; such a mean is up to 3 % too low,
    since the estimate is that of the norm's square.

    Args:
      autoencoder: any.
      params: its parameters.
      key: of the samples for the mutual information, and of the projections.
      x: (N, ...) examples, at least one.
      *condition: (N, ...), where there is one.
      bounds: of the code's activation, (0, 1) for a sigmoid; None where it has none.
      batch_size: examples at a time.

    Raises:
      ValueError: no examples, or conditions of another number.
      TypeError: what holds no numbers.

    >>> from aejax.autoencoders import variational
    >>> from aejax.networks import MLP
    >>> vae = variational(MLP(output_shape=(2 * 3,)), MLP(output_shape=(5,)))
    >>> params = vae.init(jax.random.key(0), np.ones(5, np.float32))
    >>> code_statistics(vae, params, jax.random.key(1), np.ones((7, 5), np.float32)).is_collapsed
    True
    """
    given = _checked(x, *condition)
    examples = len(given[0])

    def over_examples(function: Callable[..., PyTree], *arrays: Any, at_a_time: int = batch_size) -> PyTree:
        return jax.device_get(map_over_examples(function, params, *arrays, batch_size=at_a_time))

    some = min(examples, _MOST_EXAMPLES)
    rows = _rows(autoencoder, params, *(array[0] for array in given))
    norm_of, watched = _frobenius_norm_of(
        rows, given[0][0].size, most_rows=_MOST_ROWS_IN_THE_END, most_numbers=_MOST_PROJECTED
    )
    at_a_time = batch_size if norm_of is _estimated_norm else min(max(_MOST_ROWS // rows, 1), batch_size)
    few = min(some, watched)
    directions = jax.random.split(named_key(key, "projections"), few)
    norms = over_examples(
        partial(norm_of, autoencoder), directions, *(array[:few] for array in given), at_a_time=at_a_time
    )
    frobenius_norm = float(np.mean(norms, dtype=np.float64))
    if autoencoder.variational is None:
        codes = over_examples(lambda params, *one: widened(autoencoder.encode(params, *one)).reshape(-1), *given)
        active = is_active(codes, threshold=1e-12 * float(np.max(np.abs(codes), initial=0)) ** 2)
        saturated = None if bounds is None else saturation(jnp.asarray(codes), low=bounds[0], high=bounds[1]).item()
        return _statistics(codes, active, frobenius_norm, saturation=saturated)
    posterior, prior = autoencoder.variational.posterior, autoencoder.variational.prior

    def flat(params: PyTree, *one: Array) -> list[Array]:
        mean, log_variance = posterior(params, *one)
        divergence = prior(params).kl_per_dimension
        by_unit = [] if divergence is None else [divergence(mean, log_variance)]
        return [widened(array).reshape(-1) for array in (mean, log_variance, *by_unit)]

    means, log_variances, *by_unit = over_examples(flat, *given)
    kl_per_unit = np.mean(by_unit[0], axis=0, dtype=np.float64) if by_unit else None
    return _statistics(
        means,
        is_active(means, threshold=ACTIVE_VARIANCE),
        frobenius_norm,
        kl_per_unit=kl_per_unit,
        mutual_information=max(mutual_information(key, means[:some], log_variances[:some]).item(), 0.0),
        mutual_information_limit=math.log(some),
    )


def make_mean_frobenius_norm(
    autoencoder: Autoencoder, params: PyTree, x: np.ndarray, *condition: np.ndarray
) -> Callable[[PyTree], float]:
    """Compile `params -> mean ‖∂h/∂x‖_F` over a few of N examples, always the same, to watch it while a run goes on.

    They are the first 200, or so many that their Jacobians have 4,000 rows in all: the cost is a small part of an
    epoch's for any encoder. A Jacobian that alone has more is estimated from 8 projections, independent ones for each
    example and the same at every call, as `code_statistics` has it.

    >>> from aejax.autoencoders import undercomplete
    >>> from aejax.networks import MLP
    >>> linear = undercomplete(MLP(output_shape=(2,)), MLP(output_shape=(5,)))
    >>> x = np.ones((7, 5), np.float32)
    >>> params = linear.init(jax.random.key(0), x[0])
    >>> kernel = params["encoder"]["params"]["Dense_0"]["kernel"]
    >>> bool(np.isclose(make_mean_frobenius_norm(linear, params, x)(params), np.linalg.norm(kernel), rtol=1e-6))
    True
    """
    given = _checked(x, *condition)
    rows = _rows(autoencoder, params, *(array[0] for array in given))
    norm_of, watched = _frobenius_norm_of(
        rows, given[0][0].size, most_rows=_MOST_ROWS, most_numbers=_MOST_WATCHED_PROJECTED
    )
    few = min(len(given[0]), watched, _MOST_WATCHED)
    arrays = [np.asarray(array[:few]) for array in given]

    @jax.jit
    def mean_norm(params: PyTree, *arrays: Array) -> Array:
        directions = jax.random.split(jax.random.key(0), few)
        norms = jax.lax.map(lambda one: norm_of(autoencoder, params, *one), (directions, *arrays), batch_size=few)
        return jnp.mean(widened(norms))

    return lambda params: float(mean_norm(params, *arrays))


def _checked(*arrays: np.ndarray) -> list[Any]:
    """Examples and their conditions, at least one, and equally many."""
    given = [as_examples(array) for array in arrays]
    if len({len(array) for array in given}) > 1:
        raise ValueError(f"there are {len(given[0])} examples, and conditions of {[len(array) for array in given[1:]]}")
    if len(given[0]) == 0:
        raise ValueError("there are no examples to take statistics of")
    return given


def _rows(autoencoder: Autoencoder, params: PyTree, *first: np.ndarray) -> int:
    """Of the Jacobian of one example, or its columns, if they are fewer."""
    return min(jax.eval_shape(autoencoder.encode, params, *first).size, first[0].size)


def _frobenius_norm_of(
    rows: int, size: int, *, most_rows: int, most_numbers: float
) -> tuple[Callable[..., Array], int]:
    """How ‖∂h/∂x‖_F is computed, (autoencoder, params, key, x, *condition) -> norm, and of how many examples at most.

    Args:
      rows: of the Jacobian of one example.
      size: the numbers of an example.
      most_rows: of all exact Jacobians.
      most_numbers: of all examples, times projections, where the norm is estimated.
    """
    if rows > _MOST_ROWS:
        return _estimated_norm, max(1, int(most_numbers // (_PROJECTIONS * size)))
    return _frobenius_norm, max(1, most_rows // rows)


def _frobenius_norm(autoencoder: Autoencoder, params: PyTree, key: Array, x: Array, *condition: Array) -> Array:
    del key  # it is exact
    return jnp.sqrt(frobenius_norm_squared(lambda x: autoencoder.encode(params, x, *condition), x, method="auto"))


def _estimated_norm(autoencoder: Autoencoder, params: PyTree, key: Array, x: Array, *condition: Array) -> Array:
    def encode(x: Array) -> Array:
        return autoencoder.encode(params, x, *condition)

    return jnp.sqrt(estimate_frobenius_norm_squared(key, encode, x, num_projections=_PROJECTIONS, mode="forward"))


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


def _statistics(codes: np.ndarray, active: np.ndarray, frobenius_norm: float, **others: Any) -> CodeStatistics:
    return CodeStatistics(codes.shape[1], int(active.sum()), float(np.mean(codes != 0)), frobenius_norm, **others)
