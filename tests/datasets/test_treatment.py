"""Binarized and dequantized values: their distributions, seeds and splits, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aejax import augmentation
from aejax.datasets.dataset import Dataset, take
from aejax.datasets.stored import FileRows, StoredArray
from aejax.datasets.treatment import Treatment, check_treatable, describe_treatment, treated
from aejax.errors import UserError

GRAY = Dataset(np.tile(np.linspace(0, 1, 5, dtype=np.float32), (4000, 1)))


def x_of(treatment, dataset=GRAY, split="test"):
    return treated(dataset, treatment, split=split, name="gray.npy").x


def test_fixed_is_a_threshold():
    assert x_of(Treatment("fixed"))[0].tolist() == [0, 0, 1, 1, 1]
    assert x_of(Treatment("fixed")).dtype == np.float32


@pytest.mark.parametrize("binarize", ["stochastic", "dynamic"])
def test_bits_are_one_with_the_value_as_probability(binarize):
    bits = x_of(Treatment(binarize))
    assert np.isin(bits, [0, 1]).all()
    error = 4 * np.sqrt(0.25 / len(bits))
    np.testing.assert_allclose(bits.mean(axis=0), GRAY.x[0], atol=error)
    assert bits[:, [0, 4]].std(axis=0).tolist() == [0, 0]
    assert abs(np.corrcoef(bits[:, 1:4].T) - np.eye(3)).max() < 0.08


def test_draws_are_those_of_seed_and_split():
    bits = x_of(Treatment("stochastic", seed=3))
    np.testing.assert_array_equal(bits, x_of(Treatment("stochastic", seed=3)))
    np.testing.assert_array_equal(bits, x_of(Treatment("dynamic", seed=3)))
    assert (bits != x_of(Treatment("stochastic", seed=4))).mean() > 0.1
    assert (bits != x_of(Treatment("stochastic", seed=3), split="validation")).mean() > 0.1


def test_dequantized_values_are_uniform_within_their_level():
    """Level k of n becomes (k + u)/n: times n, the whole part is the level, and the rest is uniform."""
    x = x_of(Treatment(dequantize="uniform", levels=5))
    assert x.max() < 1
    np.testing.assert_array_equal(np.floor(5 * x.astype(np.float64)), np.tile(np.arange(5), (len(x), 1)))
    rest = np.sort((5 * x.astype(np.float64)) % 1, axis=0)
    grid = (np.arange(len(x)) + 0.5) / len(x)
    assert abs(rest - grid[:, None]).max() < 1.63 / np.sqrt(len(x))  # Kolmogorov and Smirnov, at 1 %


def test_blocks_do_not_change_the_draws(monkeypatch):
    whole = x_of(Treatment("stochastic"))
    monkeypatch.setattr("aejax.datasets.stored._BLOCK", 1000)
    np.testing.assert_array_equal(whole, x_of(Treatment("stochastic")))


@pytest.mark.parametrize(
    "treatment", [Treatment("fixed"), Treatment("dynamic"), Treatment(dequantize="uniform", levels=5)]
)
def test_examples_in_a_file_are_drawn_when_they_are_read(treatment, tmp_path):
    """Rows of five values: every other row begins in the middle of a step of the generator."""
    np.save(tmp_path / "gray.npy", GRAY.x)
    stored = StoredArray(FileRows(np.load(tmp_path / "gray.npy", mmap_mode="r")))
    inside, x = x_of(treatment), treated(GRAY._replace(x=stored), treatment, split="test", name="gray.npy").x
    assert isinstance(x, StoredArray)
    np.testing.assert_array_equal(x, inside)
    rows = np.array([7, 8, 3, 3999, 0])
    np.testing.assert_array_equal(x[rows], inside[rows])
    np.testing.assert_array_equal(take(Dataset(x), rows).x[1:3], inside[rows[1:3]])


def test_training_draws_by_the_same_formulas(monkeypatch):
    """From the same uniform numbers, of which some are extreme, NumPy and JAX make the same bits and levels."""
    uniform = np.random.default_rng(0).random((4000, 5), np.float32)
    uniform[0], uniform[1] = 0, 1 - 2**-24
    monkeypatch.setattr("aejax.datasets.treatment._TreatedRows._uniform", lambda rows, index: uniform[index])
    monkeypatch.setattr(jax.random, "uniform", lambda key, shape, dtype: jnp.asarray(uniform, dtype))
    key, x = jax.random.key(0), jnp.asarray(GRAY.x)
    bits, values = augmentation.binarize(key, x), augmentation.dequantize(key, x, levels=5)
    np.testing.assert_array_equal(bits, x_of(Treatment("dynamic")))
    np.testing.assert_allclose(values, x_of(Treatment(dequantize="uniform", levels=5)), rtol=2e-7)
    assert values.max() < 1


def test_nothing_is_done_without_a_treatment():
    assert treated(GRAY, Treatment(), split="test", name="gray.npy") is GRAY


@pytest.mark.parametrize(
    ("treatment", "dataset", "complaint"),
    [
        (
            Treatment("fixed"),
            Dataset(2 * GRAY.x),
            r"binarize: expects values in \[0, 1\], but in a.npy they range from 0",
        ),
        (Treatment("fixed"), Dataset(GRAY.x * np.nan), r"binarize: expects values in \[0, 1\], .* some are padding"),
        (Treatment("dynamic"), GRAY._replace(input=GRAY.x), "binarize: expects .* but a.npy is pairs"),
        (
            Treatment(dequantize="uniform", levels=4),
            GRAY,
            "levels: of 4 levels the values are multiples of 1/3, but a.npy has other values, such as 0.25",
        ),
    ],
)
def test_what_is_refused(treatment, dataset, complaint):
    with pytest.raises(UserError, match=complaint):
        check_treatable(dataset, treatment, name="a.npy")
    with pytest.raises(UserError, match=complaint):
        treated(dataset, treatment, split="test", name="a.npy")


def test_descriptions_name_the_treatment():
    for binarize in ("fixed", "dynamic", "stochastic"):
        assert f"({binarize})" in describe_treatment(Treatment(binarize))
    assert "17 levels" in describe_treatment(Treatment(dequantize="uniform", levels=17))
