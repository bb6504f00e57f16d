"""What every kind of network says of itself is so."""

import jax
import jax.numpy as jnp
import pytest

from aejax.experiment.architectures import NETWORKS, architecture_of

SHAPES = [(12,), (12, 5), (12, 10, 3)]


def fits_rank(name, shape):
    ranks = architecture_of(name).ranks
    return ranks is None or len(shape) in ranks


def code_sizes(name):
    architecture = architecture_of(name)
    return [3] * architecture.has_vector_code + [None] * architecture.has_map_code


FITTING = [
    (name, code_size, shape)
    for name in NETWORKS
    for code_size in code_sizes(name)
    for shape in SHAPES
    if fits_rank(name, shape)
]


@pytest.mark.slow_after_first
@pytest.mark.parametrize(("name", "code_size", "shape"), FITTING)
def test_it_builds_for_the_ranks_and_codes_that_it_names(name, code_size, shape):
    architecture = architecture_of(name)
    encoder, decoder = architecture.build(shape, shape, (4, 6), code_size, jnp.tanh)
    x = jnp.ones(shape)

    def there_and_back(key):
        code = encoder.apply(encoder.init(key, x), x)
        return code, decoder.apply(decoder.init(key, code), code)

    code, reconstruction = jax.eval_shape(there_and_back, jax.random.key(0))
    assert reconstruction.shape == shape
    assert code.shape == (3,) if code_size else code.ndim == 3


@pytest.mark.parametrize(
    ("name", "shape"), [(name, shape) for name in NETWORKS for shape in SHAPES if not fits_rank(name, shape)]
)
def test_it_refuses_the_ranks_that_it_does_not_name(name, shape):
    fitting = next(shape for shape in SHAPES if fits_rank(name, shape))
    encoder, _ = architecture_of(name).build(fitting, fitting, (4,), code_sizes(name)[0], jnp.tanh)
    with pytest.raises(ValueError, match="has shape"):
        jax.eval_shape(encoder.init, jax.random.key(0), jnp.ones(shape))


@pytest.mark.parametrize("name", NETWORKS)
def test_only_a_dense_one_does_without_hidden_layers(name):
    build, code_size = architecture_of(name).build, code_sizes(name)[0]
    if architecture_of(name).is_dense:
        build((12, 10), (12, 10), (), code_size, jnp.tanh)
    else:
        with pytest.raises(ValueError, match="features"):
            build((12, 10), (12, 10), (), code_size, jnp.tanh)
