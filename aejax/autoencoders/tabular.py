"""Tables inside the autoencoder: its networks work on the inputs u of a row, its functions on rows x with NaN."""

from collections.abc import Sequence

import jax
from jaxtyping import Array, PyTree

from aejax.autoencoders.composition import check_composition
from aejax.autoencoders.entrance import as_inputs
from aejax.autoencoders.part import Part
from aejax.autoencoders.record import Autoencoder, BatchLike, CodeDistribution, Metrics, masked_batch
from aejax.likelihoods.columns import Column
from aejax.likelihoods.table_inputs import decode_inputs, encode_inputs, encode_targets
from aejax.likelihoods.tables import table_likelihood

TABULAR = Part(
    "tabular",
    accepts_missing=True,
    excludes=(
        (
            "tied",
            "its decoder returns a row of the inputs' kind, and columns of classes need logits: use undercomplete",
        ),
        ("standardized", "the columns of a table are already standardized, each by its own statistics"),
    ),
)


def tabular(autoencoder: Autoencoder, columns: Sequence[Column]) -> Autoencoder:
    """Encodes rows of mixed columns, x -> u -> code, and decodes to rows: u = `encode_inputs(columns, x)`.

    Everything inside works on u in R^I: standardized values, bits, one-hot classes and indicators of missing values. So
    the Jacobian in `tabular(contractive(...))` is with respect to u. The loss inside compares the decoder's output with
    `encode_targets(columns, x)`, in which missing values have no term: give a variational autoencoder the likelihood
    `target_likelihood(columns)`, any other a `TableLoss` and its link.

    Args:
      autoencoder: an autoencoder of u, whose `decode` returns a vector in the space of u.
      columns: the declarations of the row's columns, with the statistics of the training rows (`with_statistics`).

    Returns:
      The autoencoder of rows x (D,) in the user's units, in which NaN is a missing value, with the same names of
      metrics. `decode` returns means and, of classes, the most probable one: no value is missing. Corruption outside,
      `denoising(tabular(...))`, is of rows: `corruption.masking` with the value NaN removes values at random. The
      densities of a variational autoencoder are in the user's units.

    Raises:
      TypeError: `autoencoder` is not an `Autoencoder`.
      ValueError: `autoencoder` has tied weights or is standardized.
      UserError: the columns are invalid, as in `table_likelihood`.

    Source: A. Nazábal et al. (2020), Handling Incomplete Heterogeneous Data Using VAEs.

    >>> import jax.numpy as jnp
    >>> from aejax.autoencoders import variational
    >>> from aejax.likelihoods.columns import Binary, Continuous
    >>> from aejax.likelihoods.tables import parameter_size, target_likelihood
    >>> from aejax.networks import MLP
    >>> columns = [Continuous("area", mean=80.0, standard_deviation=20.0, may_be_missing=True), Binary("garden")]
    >>> networks = MLP(output_shape=(2 * 1,)), MLP(output_shape=(parameter_size(columns),))
    >>> autoencoder = tabular(variational(*networks, likelihood=target_likelihood(columns)), columns)
    >>> row = jnp.array([jnp.nan, 1.0])
    >>> params = autoencoder.init(jax.random.key(0), row)
    >>> autoencoder.decode(params, autoencoder.encode(params, row)).shape
    (2,)
    """
    check_composition(autoencoder, TABULAR)
    columns = tuple(columns)
    likelihood = table_likelihood(columns)
    distributions = autoencoder.variational

    def init(key: Array, example: Array, *condition: Array) -> PyTree:
        example, condition = as_inputs("example", example, *condition)
        return autoencoder.init(key, encode_inputs(columns, example), *condition)

    def encode(params: PyTree, x: Array, *condition: Array) -> Array:
        x, condition = as_inputs("x", x, *condition)
        return autoencoder.encode(params, encode_inputs(columns, x), *condition)

    def decode(params: PyTree, code: Array, *condition: Array) -> Array:
        return decode_inputs(columns, autoencoder.decode(params, code, *condition))

    def posterior(params: PyTree, x: Array, *condition: Array) -> tuple[Array, Array]:
        assert distributions is not None
        x, condition = as_inputs("x", x, *condition)
        return distributions.posterior(params, encode_inputs(columns, x), *condition)

    def joint_posterior(params: PyTree, x: Array, *condition: Array) -> CodeDistribution:
        assert distributions is not None
        assert distributions.joint_posterior is not None
        x, condition = as_inputs("x", x, *condition)
        return distributions.joint_posterior(params, encode_inputs(columns, x), *condition)

    def loss(params: PyTree, key: Array, batch: BatchLike) -> tuple[Array, Metrics]:
        batch = masked_batch(batch)
        targets = jax.vmap(lambda x: encode_targets(columns, x))(batch.x)
        inputs = jax.vmap(lambda x: encode_inputs(columns, x))(batch.input)
        return autoencoder.loss(params, key, batch._replace(x=targets, input=inputs))

    outer = None
    if distributions is not None:
        outer = distributions._replace(
            posterior=posterior,
            likelihood=likelihood,
            joint_posterior=None if distributions.joint_posterior is None else joint_posterior,
        )
    return autoencoder._replace(
        init=init,
        encode=encode,
        decode=decode,
        loss=loss,
        variational=outer,
        parts=(*autoencoder.parts, TABULAR),
    )
