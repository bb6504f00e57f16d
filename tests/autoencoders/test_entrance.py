"""The entrances of an autoencoder: ONE example or code of the shape it was initialized with, as any array."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen as nn
from flax import nnx

from aejax.autoencoders import (
    Examples,
    conditional,
    contractive,
    importance_weighted,
    k_sparse,
    mmd_regularized,
    sparse,
    tied,
    undercomplete,
    variational,
)
from aejax.networks import (
    MLP,
    ConvDecoder,
    ConvEncoder,
    Network,
    SequenceDecoder,
    SequenceEncoder,
    UNetDecoder,
    UNetEncoder,
    computing_in,
    followed_by,
    from_nnx,
    rematerialized,
    with_global_log_variance,
)
from aejax.training import start

KEY = jax.random.key(0)
ENCODER, DECODER = MLP((4,), (6,)), MLP((20,), (6,))
PLAIN = undercomplete(ENCODER, DECODER)
VAE = variational(ENCODER, DECODER)
VECTORS = {
    "undercomplete": PLAIN,
    "k_sparse": k_sparse(ENCODER, DECODER, k=2),
    "tied": tied((20,), (6, 4)),
    "variational": VAE,
    "importance_weighted": importance_weighted(VAE, samples=2),
    "contractive": contractive(PLAIN, weight=0.1),
    "sparse": sparse(PLAIN, weight=0.1),
    "mmd_regularized": mmd_regularized(VAE, weight=1.0),
    "followed_by": undercomplete(followed_by(ENCODER, jnp.tanh), DECODER),
    "computing_in": undercomplete(computing_in(ENCODER, jnp.bfloat16), computing_in(DECODER, jnp.bfloat16)),
    "rematerialized": undercomplete(rematerialized(ENCODER), rematerialized(DECODER)),
    "linen": undercomplete(nn.Dense(4), nn.Dense(20)),
    "nnx": undercomplete(
        from_nnx(lambda rngs: nnx.Sequential(jnp.ravel, nnx.Linear(20, 4, rngs=rngs))),
        from_nnx(lambda rngs: nnx.Sequential(jnp.ravel, nnx.Linear(4, 20, rngs=rngs))),
    ),
    "own": undercomplete(
        Network(lambda key, x: jnp.ones((4, x.size)), lambda weights, x: weights @ x.reshape(-1)),
        Network(lambda key, x: jnp.ones((20, x.size)), lambda weights, x: weights @ x.reshape(-1)),
    ),
}
X = np.random.default_rng(0).uniform(size=(7, 20)).astype(np.float32)


@pytest.fixture(autouse=True)
def dtype_promotion():
    """Networks of users promote as they like."""
    with jax.numpy_dtype_promotion("standard"):
        yield


class Frame:
    """A table that is no array, as a data frame or a tensor is."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


@pytest.mark.slow
@pytest.mark.parametrize("name", VECTORS)
def test_what_is_not_one_example_or_code_is_refused_with_both_shapes(name):
    autoencoder = VECTORS[name]
    params = autoencoder.init(KEY, X[0])
    code = autoencoder.encode(params, X[0])
    own = name in ("linen", "nnx", "own")
    refused = (ValueError, TypeError) if own else ValueError
    size = code.size
    for function, wrong, want in (
        (autoencoder.encode, X, "20"),
        (autoencoder.encode, X[0, :10], "20"),
        (autoencoder.decode, jnp.ones((7, size)), str(size)),
        (autoencoder.decode, code[:1], str(size)),
        (autoencoder.decode, jnp.ones(size + 3), str(size)),
    ):
        if name == "linen" and jnp.ndim(wrong) == 2:
            continue  # a dense layer of Flax is mapped over leading axes by itself
        for call in (function, jax.jit(function)):
            with pytest.raises(refused) as caught:
                call(params, wrong)
            if not own:
                assert want in str(caught.value)
                assert str(np.shape(wrong)[0]) in str(caught.value)
    if name != "linen":
        for function, batch_of_one in ((autoencoder.encode, X[:1]), (autoencoder.decode, code[None])):
            with pytest.raises(ValueError, match="batch"):
                function(params, batch_of_one)
    for wrong in (X[:, :10], X[0]):
        with pytest.raises((ValueError, TypeError)):
            autoencoder.loss(params, KEY, wrong)
    if (distributions := autoencoder.variational) is not None:
        for function, wrong in ((distributions.posterior, X), (distributions.decode_parameters, jnp.ones((7, size)))):
            with pytest.raises(ValueError, match="ONE"):
                function(params, wrong)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in VECTORS if name not in ("linen", "nnx", "own")])
def test_init_refuses_a_batch(name):
    for batch in (X, X[:1]):
        with pytest.raises(ValueError, match="ONE"):
            VECTORS[name].init(KEY, batch)
        with pytest.raises(ValueError, match="ONE"):
            start(VECTORS[name], optax.sgd(0.1), KEY, batch)


IMAGES = {
    "conv": (undercomplete(ConvEncoder((4,), 3), ConvDecoder((8, 8, 3), (4,))), (8, 8, 3), (10, 10, 3)),
    "conv of maps": (undercomplete(ConvEncoder((4,)), ConvDecoder((8, 8, 3), (4,))), (8, 8, 3), None),
    "unet": (undercomplete(UNetEncoder((4,)), UNetDecoder((8, 8, 3), (4,))), (8, 8, 3), None),
    "sequence": (undercomplete(SequenceEncoder((4,), 3), SequenceDecoder((16, 3), (4,))), (16, 3), (20, 3)),
    "vae": (variational(ConvEncoder((4,), 4), ConvDecoder((8, 8, 3), (4,))), (8, 8, 3), (10, 10, 3)),
    "global variance": (
        variational(ConvEncoder((4,), 4), ConvDecoder((8, 8, 3, 2)[:3], (4,))),
        (8, 8, 3),
        (12, 8, 3),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGES)
def test_other_images_and_sequences_are_refused(name):
    autoencoder, shape, other = IMAGES[name]
    one = np.ones(shape, np.float32)
    params = jax.jit(autoencoder.init)(KEY, one)
    code = jax.eval_shape(autoencoder.encode, params, one)
    wrong = [one[None], np.stack([one, one]), one[..., :1], np.concatenate([one, one], axis=-1)]
    wrong += [] if other is None else [np.ones(other, np.float32)]
    for x in wrong:
        with pytest.raises(ValueError, match="shape"):
            autoencoder.encode(params, x)
        with pytest.raises((ValueError, TypeError)):
            autoencoder.loss(params, KEY, x[None])
    for shape_of_code in ((2, *code.shape), (code.shape[0] + 1, *code.shape[1:])):
        with pytest.raises(ValueError, match=r"shape|height"):
            autoencoder.decode(params, jnp.ones(shape_of_code))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("x", "advice"),
    [
        (np.ones((3, 8, 8)), r"numpy.moveaxis\(x, -3, -1\)"),
        (np.ones((5, 3, 8, 8)), r"numpy.moveaxis\(x, -3, -1\)"),
        (np.ones((8, 8, 4)), r"alpha channel, x\[..., :3\]"),
        (np.ones((8, 8, 1)), "numpy.repeat"),
        (np.ones((5, 8, 8, 3)), "jax.vmap"),
    ],
)
def test_images_of_another_layout_are_recognized(x, advice):
    autoencoder, shape, _ = IMAGES["conv"]
    params = jax.jit(autoencoder.init)(KEY, np.ones(shape, np.float32))
    with pytest.raises(ValueError, match=advice):
        autoencoder.encode(params, x.astype(np.float32))


@pytest.mark.parametrize("shape", [(3, 32, 32), (4, 9, 8), (1, 28, 28), (3, 40, 60)])
def test_channels_first_are_refused_at_the_beginning(shape):
    with pytest.raises(ValueError, match="channels come last"):
        undercomplete(ConvEncoder((4,), 3), ConvDecoder((8, 8, 3), (4,))).init(KEY, jnp.ones(shape))
    for build in (lambda: ConvDecoder(shape, (4,)), lambda: UNetDecoder(shape, (4,))):
        with pytest.raises(ValueError, match="channels come last"):
            build()


@pytest.mark.slow
def test_whatever_numpy_reads_is_an_example():
    params = PLAIN.init(KEY, X[0].tolist())
    code = PLAIN.encode(params, X[0])
    for example in (X[0].tolist(), tuple(X[0].tolist()), Frame(X[0]), X[0].astype(np.float64)):
        np.testing.assert_array_equal(PLAIN.encode(params, example), code)
        np.testing.assert_array_equal(jax.jit(lambda p, e=example: PLAIN.encode(p, e))(params), code)
    np.testing.assert_array_equal(PLAIN.decode(params, code.tolist()), PLAIN.decode(params, code))
    loss = PLAIN.loss(params, KEY, X)[0]
    for batch in (X.tolist(), Frame(X), Examples(Frame(X)), Examples(X, Frame(X))):
        assert PLAIN.loss(params, KEY, batch)[0] == loss


@pytest.mark.slow
@pytest.mark.parametrize("x", [{"a": 1.0}, "x.npy", None, [["a"] * 20], Frame([object()] * 20), [[1.0], [1.0, 2.0]]])
def test_what_holds_no_numbers_is_refused_by_name(x):
    params = PLAIN.init(KEY, X[0])
    for call in (
        lambda: PLAIN.encode(params, x),
        lambda: PLAIN.loss(params, KEY, x),
        lambda: PLAIN.loss(params, KEY, Examples(x)),
    ):
        with pytest.raises(TypeError, match="x must be an array of numbers"):
            call()
    with pytest.raises(TypeError, match="code must be an array of numbers"):
        PLAIN.decode(params, x)
    with pytest.raises(TypeError, match="example must be an array of numbers"):
        PLAIN.init(KEY, x)


@pytest.mark.parametrize("params", [(1, 2), {}, {"encoder": {}, "decoder": {}}, None, 3.0])
def test_parameters_of_another_kind_are_refused(params):
    with pytest.raises((TypeError, ValueError), match="param"):
        PLAIN.encode(params, X[0])


def test_an_example_of_no_numbers_is_refused():
    params = PLAIN.init(KEY, X[0])
    for call in (lambda: PLAIN.init(KEY, jnp.ones(0)), lambda: PLAIN.encode(params, jnp.ones(0))):
        with pytest.raises(ValueError, match=r"at least one number, got shape \(0,\)"):
            call()


def test_maps_and_compiled_functions_take_one_example_each():
    params = PLAIN.init(KEY, X[0])
    codes = jax.vmap(PLAIN.encode, in_axes=(None, 0))(params, X)
    assert jax.vmap(jax.jit(PLAIN.decode), in_axes=(None, 0))(params, codes).shape == X.shape
    assert codes.shape == (7, 4)


def test_nothing_is_traced_a_second_time_where_shapes_fit():
    calls = []

    def apply(params, x):
        calls.append(x.shape)
        return x[:2]

    network = Network(lambda key, x: {}, apply)
    autoencoder = undercomplete(network, Network(lambda key, x: {}, lambda params, code: jnp.tile(code, 2)))
    autoencoder.encode({"encoder": {}, "decoder": {}}, jnp.ones(4))
    assert calls == [(4,)]


class TestConditions:
    BY_CLASS = conditional(undercomplete(MLP((4,)), MLP((20,))), classes=200)
    BY_SIDE = conditional(undercomplete(MLP((4,)), MLP((20,))))

    @pytest.mark.slow
    @pytest.mark.parametrize("label", [-1, 200, np.int8(-1), np.uint32(2**32 - 1), jnp.array(1000)])
    def test_classes_out_of_range_are_refused(self, label):
        params = self.BY_CLASS.init(KEY, X[0], 0)
        for call in (
            lambda: self.BY_CLASS.init(KEY, X[0], label),
            lambda: self.BY_CLASS.encode(params, X[0], label),
            lambda: self.BY_CLASS.decode(params, jnp.ones(4), label),
            lambda: self.BY_CLASS.loss(params, KEY, Examples(X, condition=np.full(7, label))),
        ):
            with pytest.raises(ValueError, match="a class from 0 to 199, got"):
                call()

    @pytest.mark.slow
    @pytest.mark.parametrize("label", [1.0, True, np.float32(1), 1j])
    def test_classes_are_integers(self, label):
        params = self.BY_CLASS.init(KEY, X[0], 0)
        with pytest.raises(TypeError, match="a class, an integer, got dtype"):
            self.BY_CLASS.encode(params, X[0], label)

    @pytest.mark.slow
    @pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int64])
    def test_narrow_integers_are_classes(self, dtype):
        params = self.BY_CLASS.init(KEY, X[0], 0)
        for label in (0, 100, 127):
            want = self.BY_CLASS.encode(params, X[0], label)
            np.testing.assert_array_equal(self.BY_CLASS.encode(params, X[0], dtype(label)), want)
            np.testing.assert_array_equal(jax.jit(self.BY_CLASS.encode)(params, X[0], jnp.asarray(dtype(label))), want)

    def test_one_class_belongs_to_one_example(self):
        params = self.BY_CLASS.init(KEY, X[0], 0)
        for label in ([1], np.array([1, 2])):
            with pytest.raises(ValueError, match="got shape"):
                self.BY_CLASS.encode(params, X[0], label)
        with pytest.raises(ValueError, match="got shape"):
            self.BY_CLASS.loss(params, KEY, Examples(X, condition=np.zeros((7, 1), int)))

    @pytest.mark.slow
    def test_side_inputs_are_of_the_precision_of_the_example(self):
        params = self.BY_SIDE.init(KEY, X[0], [1.0, 2.0])
        want = self.BY_SIDE.encode(params, X[0], np.array([1, 2], np.float32))
        for side in ([1, 2], np.array([1, 2], np.int8), np.array([1.0, 2.0]), Frame([1.0, 2.0])):
            np.testing.assert_array_equal(self.BY_SIDE.encode(params, X[0], side), want)
        with jax.enable_x64(True):
            assert self.BY_SIDE.encode(params, X[0], np.array([1.0, 2.0])).dtype == jnp.float32
        for wrong in ("a", {"a": 1}, 1j):
            with pytest.raises(TypeError, match="condition"):
                self.BY_SIDE.encode(params, X[0], wrong)
        with pytest.raises(ValueError, match="shape"):
            self.BY_SIDE.encode(params, X[0], [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (lambda: MLP((4,), 64), TypeError),
        (lambda: MLP(4), TypeError),
        (lambda: MLP((4,), (0,)), ValueError),
        (lambda: MLP((4,), (-3,)), ValueError),
        (lambda: MLP((4,), (2.0,)), TypeError),
        (lambda: MLP((4,), (True,)), TypeError),
        (lambda: MLP((0,)), ValueError),
        (lambda: MLP("4"), TypeError),
        (lambda: MLP({"a": 4}), TypeError),
        (lambda: MLP((4,), activation="relu"), TypeError),
        (lambda: MLP((4,), output_activation=3), TypeError),
        (lambda: ConvEncoder(4), TypeError),
        (lambda: ConvEncoder((4,), 0), ValueError),
        (lambda: ConvEncoder((4,), 2.5), TypeError),
        (lambda: ConvEncoder((0,)), ValueError),
        (lambda: ConvDecoder((8, 8), ()), ValueError),
        (lambda: ConvDecoder((8,), (4,)), ValueError),
        (lambda: ConvDecoder(8, (4,)), TypeError),
        (lambda: ConvDecoder((8, -8), (4,)), ValueError),
        (lambda: SequenceEncoder((4,), -1), ValueError),
        (lambda: SequenceDecoder((8, 2, 2), (4,)), ValueError),
        (lambda: SequenceDecoder((8,), ()), ValueError),
        (lambda: UNetEncoder(()), ValueError),
        (lambda: UNetDecoder((8, 8), 3), TypeError),
        (lambda: tied((8,), 3), TypeError),
        (lambda: tied(8, (3,)), TypeError),
        (lambda: tied((8,), ()), ValueError),
        (lambda: tied((8,), (0,)), ValueError),
        (lambda: tied((8,), (3,), activation="tanh"), TypeError),
        (lambda: undercomplete(ENCODER, DECODER, link="sigmoid"), TypeError),
        (lambda: followed_by(3, jnp.tanh), TypeError),
        (lambda: followed_by(ENCODER, "tanh"), TypeError),
        (lambda: computing_in(ENCODER, jnp.int32), TypeError),
        (lambda: computing_in(MLP, jnp.bfloat16), TypeError),
        (lambda: rematerialized(None), TypeError),
        (lambda: from_nnx(nnx.Linear(4, 2, rngs=nnx.Rngs(0))), TypeError),
        (lambda: from_nnx(nnx.Linear), TypeError),
        (lambda: from_nnx(ENCODER), TypeError),
        (lambda: from_nnx(MLP), TypeError),
        (lambda: from_nnx(lambda rngs: None), TypeError),
        (lambda: from_nnx(lambda rngs: ENCODER), TypeError),
    ],
)
def test_arguments_of_networks_are_checked_where_they_are_built(build, error, without_type_checks):
    with pytest.raises(error):
        build()


def test_a_decoder_of_one_variance_names_its_input():
    autoencoder = undercomplete(ENCODER, with_global_log_variance(DECODER), loss=lambda x, output: jnp.sum(output))
    params = autoencoder.init(KEY, X[0])
    with pytest.raises(ValueError, match=r"ONE code of shape \(4,\), got shape \(3,\)"):
        autoencoder.decode(params, jnp.ones(3))
