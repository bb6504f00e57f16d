"""The autoencoder of a table's rows: what it equals, missing values, and wrappers inside it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax.autoencoders import (
    Examples,
    contractive,
    denoising,
    importance_weighted,
    k_sparse,
    standardized,
    tabular,
    tied,
    undercomplete,
    variational,
)
from aejax.corruption import masking
from aejax.errors import IncompatibleError
from aejax.likelihoods import gaussian
from aejax.likelihoods.columns import Binary, Categorical, Continuous, Count, LogNormal, Ordinal
from aejax.likelihoods.table_inputs import encode_inputs, input_size
from aejax.likelihoods.tables import TableLoss, parameter_size, target_likelihood
from aejax.networks import MLP

COLUMNS = (
    LogNormal("price", mean=12.0, standard_deviation=0.5, may_be_missing=True),
    Continuous("area", mean=80.0, standard_deviation=20.0),
    Ordinal("quality", classes=4),
    Categorical("heating", classes=3, may_be_missing=True),
    Binary("garden"),
    Count("rooms", mean=1.5, standard_deviation=0.4),
)
ROWS = jnp.asarray([[2e5, 90, 2, 1, 1, 4], [np.nan, 70, 3, np.nan, 0, 2], [1e5, np.nan, 0, 2, np.nan, 3]], jnp.float32)
KEY = jax.random.key(0)


def vae(columns=COLUMNS):
    return variational(MLP((4,)), MLP((parameter_size(columns),)), likelihood=target_likelihood(columns))


def plain(columns=COLUMNS):
    loss = TableLoss(columns)
    return undercomplete(MLP((2,)), MLP((loss.output_size,)), loss=loss, link=loss.link)


@pytest.mark.slow
def test_a_gaussian_table_is_a_standardized_autoencoder():
    columns = (Continuous("a", 3.0, 2.0, variance=0.5), Continuous("b", -1.0, 4.0, variance=0.5))
    x = jnp.array([[3.0, -1.0], [5.0, 3.0], [0.0, 7.0]])
    of_table = tabular(vae(columns), columns)
    other = standardized(
        variational(MLP((4,)), MLP((2,)), likelihood=gaussian(variance=0.5)),
        mean=np.array([3.0, -1.0]),
        standard_deviation=np.array([2.0, 4.0]),
    )
    params = other.init(KEY, x[0])
    for name in ("loss", "elbo"):
        got, expected = (each.loss(params, KEY, x)[1][name] for each in (of_table, other))
        np.testing.assert_allclose(got, expected, rtol=1e-5)
    code = jnp.array([0.3, -0.7])
    np.testing.assert_allclose(of_table.decode(params, code), other.decode(params, code), rtol=1e-5)
    for each in x:
        np.testing.assert_allclose(of_table.encode(params, each), other.encode(params, each), rtol=1e-5)


@pytest.mark.slow_after_first
@pytest.mark.parametrize("make", [plain, vae])
def test_missing_values_leave_loss_gradient_and_rows_finite(make):
    autoencoder = tabular(make(), COLUMNS)
    params = jax.jit(autoencoder.init)(KEY, ROWS[0])
    (loss, _), gradient = jax.jit(jax.value_and_grad(autoencoder.loss, has_aux=True))(params, KEY, ROWS)
    assert jnp.isfinite(loss)
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    rows = jax.jit(jax.vmap(lambda row: autoencoder.decode(params, autoencoder.encode(params, row))))(ROWS)
    assert jnp.isfinite(rows).all()


@pytest.mark.slow
def test_a_missing_target_has_no_term():
    """Whether the column was ever missing in training or not."""
    autoencoder = tabular(plain(), COLUMNS)
    params = jax.jit(autoencoder.init)(KEY, ROWS[0])
    loss = jax.jit(lambda target: autoencoder.loss(params, KEY, Examples(target, ROWS[:1]))[0])
    complete = loss(ROWS[:1])
    for column in range(6):
        is_column = jnp.arange(6) == column
        others, alone = (jnp.where(is_column == flag, jnp.nan, ROWS[:1]) for flag in (True, False))
        np.testing.assert_allclose(loss(others), complete - loss(alone), rtol=1e-5)


@pytest.mark.slow
def test_the_jacobian_inside_is_with_respect_to_the_inputs():
    inner = undercomplete(MLP((2,), (5,), jnp.tanh), MLP((TableLoss(COLUMNS).output_size,)), loss=TableLoss(COLUMNS))
    autoencoder = tabular(contractive(inner, weight=1.0), COLUMNS)
    params = jax.jit(autoencoder.init)(KEY, ROWS[0])
    metrics = jax.jit(autoencoder.loss)(params, KEY, ROWS)[1]
    inputs = jax.vmap(partial(encode_inputs, COLUMNS))(ROWS)
    jacobians = jax.jit(jax.vmap(jax.jacfwd(partial(inner.encode, params))))(inputs)
    assert jacobians.shape[-1] == input_size(COLUMNS)
    (penalty,) = (value for name, value in metrics.items() if name not in ("loss", "reconstruction"))
    np.testing.assert_allclose(penalty, jnp.mean(jnp.sum(jnp.square(jacobians), axis=(1, 2))), rtol=1e-5)


@pytest.mark.slow
def test_wrappers_that_sample_and_corrupt_work_on_rows():
    masked = partial(masking, amount=0.5, value=jnp.nan)
    for autoencoder in (
        denoising(tabular(plain(), COLUMNS), corrupt=masked),
        tabular(importance_weighted(vae(), samples=3), COLUMNS),
        tabular(k_sparse(MLP((8,)), MLP((TableLoss(COLUMNS).output_size,)), k=2, loss=TableLoss(COLUMNS)), COLUMNS),
    ):
        params = jax.jit(autoencoder.init)(KEY, ROWS[0])
        assert jnp.isfinite(jax.jit(autoencoder.loss)(params, KEY, ROWS)[0])


def test_refuses_tied_weights_and_another_standardization():
    with pytest.raises(IncompatibleError, match=r"tabular and tied cannot be combined: .* use undercomplete"):
        tabular(tied((6,), (2,)), COLUMNS)
    with pytest.raises(IncompatibleError, match="already standardized"):
        tabular(standardized(plain(), mean=0.0, standard_deviation=1.0), COLUMNS)
