"""Tables of mixed columns: likelihoods column by column, encodings, what they refuse, and a code better than PCA's."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads
from scipy import special, stats

from aejax.autoencoders import undercomplete
from aejax.errors import UserError
from aejax.likelihoods.columns import Binary, Categorical, Continuous, Count
from aejax.likelihoods.table_inputs import encode_inputs, input_size
from aejax.likelihoods.table_rows import check_rows, with_statistics
from aejax.likelihoods.tables import encode_means, parameter_size, table_likelihood
from aejax.networks import MLP, Network
from aejax.training import start, train

COLUMNS = [
    Continuous("area", mean=80.0, standard_deviation=20.0),
    Continuous("age", mean=30.0, standard_deviation=10.0, variance=0.5),
    Binary("garden"),
    Categorical("heating", classes=3),
    Count("rooms"),
]
ROW = np.array([90.0, 25.0, 1.0, 2.0, 4.0])
PARAMETERS = np.array([0.3, -0.7, -1.0, 0.4, 0.1, -0.2, 1.5, 1.2])  # 2 + 1 + 1 + 3 + 1
N = 20_000


def houses(rows, *, seed=0, factors=8):
    """Synthetic rows of 50 columns, curved functions of 8 factors: 30 continuous, 8 binary, 6 categorical, 6 counts."""
    rng, noise = np.random.default_rng(0), np.random.default_rng(seed)  # the same table, other rows
    z = noise.uniform(-1, 1, (rows, factors))

    def features(size, gain):
        hidden = np.sin(z @ rng.normal(0, 0.6, (factors, 64)) + rng.uniform(0, 2 * np.pi, 64))
        return hidden @ rng.normal(0, gain / np.sqrt(32), (64, size))

    continuous = rng.uniform(10, 1000, 30) * (1 + 0.3 * features(30, 1.0) + 0.03 * noise.normal(size=(rows, 30)))
    binary = noise.uniform(size=(rows, 8)) < special.expit(features(8, 4.0))
    logits = features(6 * 4, 4.0).reshape(rows, 6, 4)
    classes = np.argmax(logits + noise.gumbel(size=logits.shape), axis=-1)
    counts = noise.poisson(np.exp(1 + 0.7 * features(6, 1.0)))
    columns = [Continuous(f"measure {i}") for i in range(30)] + [Binary(f"flag {i}") for i in range(8)]
    columns += [Categorical(f"kind {i}", classes=4) for i in range(6)] + [Count(f"count {i}") for i in range(6)]
    return columns, np.concatenate([continuous, binary, classes, counts], axis=1).astype(np.float32)


@pytest.mark.slow
def test_log_probability_is_the_sum_of_scipys_over_the_columns(float64):
    expected = (
        stats.norm.logpdf(90, 80 + 20 * 0.3, 20 * math.exp(-0.35))
        + stats.norm.logpdf(25, 30 + 10 * -1.0, 10 * math.sqrt(0.5))
        + stats.bernoulli.logpmf(1, special.expit(0.4))
        + special.log_softmax(PARAMETERS[4:7])[2]
        + stats.poisson.logpmf(4, math.exp(1.2))
    )
    log_prob = table_likelihood(COLUMNS).log_prob
    np.testing.assert_allclose(log_prob(jnp.array(ROW), jnp.array(PARAMETERS)), expected, rtol=1e-12)
    loop = [log_prob(jnp.array(ROW), jnp.array(scale * PARAMETERS)) for scale in (0.5, 1.0)]
    both = jnp.array([0.5, 1.0])[:, None] * jnp.array(PARAMETERS)[None]
    np.testing.assert_allclose(jax.jit(jax.vmap(log_prob, (None, 0)))(jnp.array(ROW), both), loop, rtol=1e-12)


@pytest.mark.slow
def test_derivatives_equal_finite_differences(float64):
    log_prob = jax.jit(lambda parameters: table_likelihood(COLUMNS).log_prob(jnp.array(ROW), parameters))
    check_grads(log_prob, (jnp.array(PARAMETERS),), order=2, modes=("fwd", "rev"), rtol=1e-5, atol=1e-5)


def test_mean_row_is_in_the_units_of_the_table():
    mean = table_likelihood(COLUMNS).mean(jnp.array(PARAMETERS, jnp.float32))
    expected = [86, 20, 1, 2, math.exp(1.2)]  # garden and heating: their most probable class
    np.testing.assert_allclose(mean, expected, rtol=1e-6)


@pytest.mark.slow
def test_samples_have_the_mean_of_each_column():
    likelihood = table_likelihood(COLUMNS)
    parameters = jnp.array(PARAMETERS, jnp.float32)
    keys = jax.random.split(jax.random.key(0), N)
    x = np.asarray(jax.jit(jax.vmap(likelihood.sample, (0, None)))(keys, parameters), np.float64)
    check_rows(COLUMNS, x, "samples")
    mean = np.array(likelihood.mean(parameters), np.float64)
    mean[2:4] = special.expit(0.4), special.softmax(PARAMETERS[4:7]) @ np.arange(3)
    assert np.all(np.abs(x.mean(axis=0) - mean) < 5 * x.std(axis=0) / np.sqrt(N))


def test_encodings_by_hand():
    x, parameters = jnp.array(ROW, jnp.float32), jnp.array(PARAMETERS, jnp.float32)
    encoded = encode_inputs(COLUMNS, x)
    np.testing.assert_allclose(encoded, [0.5, -0.5, 1, 0, 0, 1, math.log(5)], rtol=1e-6)
    means = encode_means(COLUMNS, parameters)
    expected = [0.3, -1.0, special.expit(0.4), *special.softmax(PARAMETERS[4:7]), math.log1p(math.exp(1.2))]
    np.testing.assert_allclose(means, expected, rtol=1e-6)
    assert (parameter_size(COLUMNS), input_size(COLUMNS)) == (len(parameters), len(encoded))


def test_statistics_are_those_of_the_rows_given():
    x = np.array([[60.0, 1.0], [100.0, 0.0], [110.0, 1.0]])
    area, garden = with_statistics([Continuous("area", variance=0.1), Binary("garden")], x)
    np.testing.assert_allclose((area.mean, area.standard_deviation), (x[:, 0].mean(), x[:, 0].std()))
    assert (area.variance, garden) == (0.1, Binary("garden"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ([], "at least one column"),
        ([Binary("a"), Count("a")], "more than one column is called a"),
        ([Categorical("a", classes=1)], "column a: classes must be at least 2, got 1"),
        ([Categorical("a", classes=2.5)], r"column a: classes must be an integer, got 2\.5"),
        ([Categorical("a", classes=True)], "column a: classes must be an integer, got True"),
        ([Continuous("a", variance=0.0)], "column a: variance must be positive and finite, got 0.0"),
        ([Continuous("a", standard_deviation=-1.0)], "column a: standard_deviation must be positive"),
        ([Continuous("a", mean=math.nan)], "column a: mean must be finite"),
    ],
)
def test_refuses_invalid_columns(columns, message):
    for function in (table_likelihood, parameter_size, input_size):
        with pytest.raises(UserError, match=message):
            function(columns)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (2, 0.5, "houses, column garden: bernoulli expects whole numbers"),
        (3, 3.0, r"houses, column heating: .* expects values in \[0, 2\], but they range from 2 to 3"),
        (4, -1.0, "houses, column rooms: poisson expects values in"),
        (4, 1.5, "houses, column rooms: poisson expects whole numbers"),
        (0, math.inf, r"houses, column area: .* 1 of \d are infinite"),
    ],
)
def test_refuses_rows_that_do_not_fit_their_columns(column, value, message):
    x = np.stack([ROW, ROW])
    check_rows(COLUMNS, x, "houses")
    x[1, column] = value
    with pytest.raises(UserError, match=message):
        check_rows(COLUMNS, x, "houses")


def test_refuses_shapes_that_do_not_fit(without_type_checks):
    likelihood = table_likelihood(COLUMNS)
    with pytest.raises(ValueError, match=r"a row of this table must have shape \(5,\), got \(4,\)"):
        likelihood.log_prob(jnp.zeros(4), jnp.zeros(8))
    with pytest.raises(ValueError, match=r"parameters of this table must have shape \(8,\), got \(5,\)"):
        likelihood.log_prob(jnp.zeros(5), jnp.zeros(5))
    with pytest.raises(ValueError, match="a row of this table must have shape"):
        encode_inputs(COLUMNS, jnp.zeros((2, 5)))
    with pytest.raises(UserError, match="5 columns are declared"):
        check_rows(COLUMNS, np.zeros((3, 4)), "houses")
    with pytest.raises(UserError, match="column area: it is 7 in every training row"):
        with_statistics([Continuous("area")], np.full((3, 1), 7.0))
    with pytest.raises(UserError, match=r"column area: it is 0\.1 in every training row"):
        with_statistics([Continuous("area")], np.full((7, 1), 0.1))
    with pytest.raises(UserError, match="subtract an offset"):
        with_statistics([Continuous("time")], 1.6e9 + np.arange(5.0)[:, None])


def table_errors(train_rows=4096, epochs=40, hidden=128):
    """Held-out mean squared error of an autoencoder 50 -> 8 and of PCA with 8 components, in training variances.

    Both are measured alike: the columns as `encode_inputs` expands them, each divided by its standard deviation in
    training, and the mean of the squares over all of them. The autoencoder is trained for the table's likelihood; PCA
    for this very measure.
    """
    columns, x = houses(train_rows, seed=1)
    _, validation_x = houses(512, seed=2)
    _, test_x = houses(2048, seed=3)
    columns = with_statistics(columns, x)
    likelihood = table_likelihood(columns)
    inner = MLP((8,), (hidden,), jnp.tanh)
    encoder = Network(
        lambda key, row: inner.init(key, encode_inputs(columns, row)),
        lambda params, row: inner.apply(params, encode_inputs(columns, row)),
    )
    decoder = MLP((parameter_size(columns),), (hidden,), jnp.tanh)
    autoencoder = undercomplete(
        encoder, decoder, loss=lambda x, parameters: -likelihood.log_prob(x, parameters), link=likelihood.mean
    )
    optimizer = optax.adam(optax.cosine_decay_schedule(5e-3, epochs * (train_rows // 128)))
    snapshot = start(autoencoder, optimizer, jax.random.key(0), jnp.asarray(x[0]))
    knobs = {"batch_size": 128, "epochs": epochs, "evaluate_every": epochs, "devices": jax.devices()[:1]}
    for report in train(autoencoder, optimizer, snapshot, x, validation_x, **knobs):
        params = report.snapshot.best_params
    params = jax.tree.map(np.asarray, params)

    @jax.jit
    @jax.vmap
    def predict(row):
        return encode_means(columns, decoder.apply(params["decoder"], autoencoder.encode(params, row)))

    expand = jax.jit(jax.vmap(lambda row: encode_inputs(columns, row)))
    training, held_out = np.asarray(expand(x)), np.asarray(expand(test_x))
    center, scale = training.mean(axis=0), training.std(axis=0)
    _, _, components = np.linalg.svd((training - center) / scale, full_matrices=False)
    standardized = (held_out - center) / scale
    by_pca = standardized @ components[:8].T @ components[:8]
    by_autoencoder = (np.asarray(predict(test_x)) - center) / scale
    return np.mean((standardized - by_autoencoder) ** 2), np.mean((standardized - by_pca) ** 2)


@pytest.mark.slow
def test_eight_numbers_of_an_autoencoder_explain_more_of_50_columns_than_eight_principal_components():
    with jax.numpy_dtype_promotion("standard"):  # Optax mixes dtypes
        by_autoencoder, by_pca = table_errors()
    assert by_autoencoder < 0.9 * by_pca


class Frame:
    """A minimal DataFrame: named columns, each an array."""

    def __init__(self, columns, rows):
        self.columns = list(columns)
        self.by_name = {name: rows[:, place] for place, name in enumerate(columns)}

    def __getitem__(self, name):
        return self.by_name[name]

    def __array__(self, *arguments, **options):
        raise AssertionError("a DataFrame is read by the names of its columns")


def rows_and_forms():
    """Rows of COLUMNS, and the same by their names in another order, and as lists."""
    rng = np.random.default_rng(0)
    rows = np.stack([ROW] * 6)
    rows[:, :2] += rng.normal(size=(6, 2))
    names = [column.name for column in COLUMNS]
    order = [3, 1, 0, 4, 2]
    frame = Frame([names[place] for place in order], rows[:, order])
    structured = np.zeros(6, [(names[place], float) for place in order])
    for name, values in frame.by_name.items():
        structured[name] = values
    return rows, {"frame": frame, "dictionary": frame.by_name, "structured": structured, "lists": rows.tolist()}


@pytest.mark.parametrize("form", ["frame", "dictionary", "structured", "lists"])
def test_rows_by_the_names_of_their_columns_are_those_of_an_array(form):
    rows, forms = rows_and_forms()
    assert with_statistics(COLUMNS, forms[form]) == with_statistics(COLUMNS, rows)
    check_rows(COLUMNS, forms[form], "houses")


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int64, object])
def test_statistics_of_rows_of_every_type(dtype):
    rows = np.array([[60.0, 1.0], [100.0, 0.0], [110.0, 1.0]])
    columns = [Continuous("area"), Binary("garden")]
    got, expected = (with_statistics(columns, each)[0] for each in (rows.astype(dtype), rows))
    np.testing.assert_allclose(got[1:3], expected[1:3], rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"area": ["small", "large", "small"]},
            "column area: expected numbers, but the values have type <U5 such as 'small'",
        ),
        (
            {"area": np.array(["small", 2, 3], object)},
            "column area: expected numbers, but there is 'small'; give each",
        ),
        ({"area": [1.0, 1e300, 3.0]}, r"column area: it reaches 1e\+300, near the limit of float32"),
        ({"area": [1.0, 2.0]}, "the columns must be vectors of the same length"),
        ({"area": np.ones((3, 2))}, "the columns must be vectors of the same length"),
        ({"garden": [0, 1, 2]}, r"column garden: bernoulli expects values in \[0, 1\]"),
        ({"cellar": [0, 1, 1]}, "houses: no column cellar is declared"),
        ({"garden": None, "cellar": [0, 1, 1]}, "houses: it has no column garden; no column cellar is declared"),
    ],
)
def test_refuses_columns_by_name_with_what_to_do(change, message):
    data = {"area": [60.0, 80.0, 100.0], "garden": [0, 1, 1], **change}
    data = {name: np.asarray(values) for name, values in data.items() if values is not None}
    with pytest.raises(UserError, match=message):
        check_rows([Continuous("area"), Binary("garden")], data, "houses")


def test_refuses_values_that_are_no_rows_or_columns(without_type_checks):
    columns = [Continuous("area"), Binary("garden")]
    with pytest.raises(UserError, match="training rows: expected at least two rows"):
        with_statistics(columns, np.zeros((0, 2)))
    with pytest.raises(UserError, match="rows must have the same length"):
        with_statistics(columns, [[1.0, 0], [2.0]])
    with pytest.raises(UserError, match=r"2 columns are declared, but the data have shape \(2,\)"):
        with_statistics(columns, [1.0, 0])
    frame = Frame(["area", "garden"], np.ones((3, 2)))
    frame.columns.append("garden")
    with pytest.raises(UserError, match="columns of the same name"):
        check_rows(columns, frame, "houses")
    with pytest.raises(UserError, match="Count, Binary, Categorical or Ordinal, got 'area'"):
        table_likelihood(["area"])
    with pytest.raises(UserError, match="column area: it is 1e-40 in every training row, up to rounding"):
        with_statistics([Continuous("area")], [[1e-40], [2e-40]])


@pytest.mark.slow
def test_statistics_of_numpy_promote_nothing(float64):
    columns = [Continuous("area", np.float64(80), np.float64(20)), Continuous("age", variance=np.float64(0.5))]
    row, parameters = jnp.ones(2, jnp.float32), jnp.zeros(3, jnp.float32)
    likelihood = table_likelihood(columns)
    for result in (
        encode_inputs(columns, row),
        encode_means(columns, parameters),
        likelihood.log_prob(row, parameters),
        likelihood.mean(parameters),
        likelihood.sample(jax.random.key(0), parameters),
    ):
        assert result.dtype == jnp.float32


@pytest.mark.slow
def test_rows_of_half_precision_are_computed_in_float32():
    columns = [Continuous("year", mean=2000.0, standard_deviation=10.0), Categorical("city", classes=300)]
    parameters = jnp.zeros(302, jnp.bfloat16).at[2 + 257].set(50)
    likelihood = table_likelihood(columns)
    np.testing.assert_array_equal(likelihood.mean(parameters), [2000, 257])
    assert likelihood.sample(jax.random.key(0), parameters)[1] == 257
    encoded = encode_inputs(columns, jnp.array([2000, 256], jnp.bfloat16))
    assert int(jnp.sum(encoded[1:])) == 1  # one class and not its neighbor too
