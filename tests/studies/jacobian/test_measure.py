"""What the study measures, against NumPy."""

import jax
import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from aejax.datasets.dataset import Dataset, Splits
from aejax.keys import named_key
from aejax.studies.jacobian.measure import distance_to_nearest, error_percent, fit_probe, make_measure


@pytest.mark.slow
def test_measurements_against_numpy(plain, examples, layer, params) -> None:
    """In float64, from the definitions: the Jacobian as a matrix, its singular values, logarithms as they stand."""
    labels = (examples.reshape(len(examples), -1).sum(axis=1) > 6).astype(np.int32)
    splits = Splits(*(Dataset(examples[part], labels[part]) for part in (slice(20), slice(20, 30), slice(30, None))))
    measurement, curves = make_measure(plain, splits, input_noise=0.2, spectrum_examples=5)(params)

    weights, bias = layer
    clean = splits.test.x.reshape(10, -1).astype(np.float64)
    keys = jax.random.split(named_key(jax.random.key(0), "input noise"), 10)
    noise = np.stack([np.asarray(jax.random.normal(key, examples.shape[1:])).reshape(-1) for key in keys])

    def cross_entropy(observed: np.ndarray) -> np.ndarray:
        probability = expit(expit(observed @ weights + bias) @ weights.T + np.asarray(params["decoder_biases"][0]))
        entropies = -(clean * np.log(probability) + (1 - clean) * np.log(1 - probability))
        return entropies.sum(axis=1).mean(), ((probability - clean) ** 2).sum(axis=1).mean()

    codes = expit(clean @ weights + bias)
    jacobians = np.einsum("nk,ik->nki", codes * (1 - codes), weights)
    spectra = np.linalg.svd(jacobians[:5], compute_uv=False)
    shares = spectra / spectra.sum(axis=1, keepdims=True)
    expected = {
        "reconstruction": cross_entropy(clean)[0],
        "squared_error": cross_entropy(clean)[1],
        "reconstruction_under_noise": cross_entropy(clean + 0.2 * noise)[0],
        "jacobian_norm": np.linalg.norm(jacobians, axis=(1, 2)).mean(),
        "saturated_percent": 100 * np.mean((codes < 0.05) | (codes > 0.95)),
        "effective_rank": np.exp(-(shares * np.log(shares)).sum(axis=1)).mean(),
    }
    assert 0 < expected["saturated_percent"] < 100
    for name, value in expected.items():
        np.testing.assert_allclose(getattr(measurement, name), value, rtol=2e-5, err_msg=name)
    np.testing.assert_allclose(curves.singular_values, spectra.mean(axis=0), rtol=1e-4, atol=1e-6)
    root_mean_square = np.sqrt((spectra**2).sum(axis=1) / clean.shape[1])  # of ‖J u‖, u of unit length
    np.testing.assert_allclose(curves.contraction[0], root_mean_square.mean(), rtol=0.1)
    assert curves.contraction[-1] < 0.1 * curves.contraction[0]


def test_a_probe_finds_what_is_linear_and_its_errors_are_counted() -> None:
    codes = np.random.default_rng(1).normal(size=(300, 4)).astype(np.float32)
    labels = (codes[:, 0] > 0).astype(np.int32)
    probe = fit_probe(Dataset(codes[:200], labels[:200]), Dataset(codes[200:], labels[200:]))
    rest = Dataset(codes[200:], labels[200:])
    assert error_percent(probe, rest) < 5
    np.testing.assert_allclose(
        error_percent(probe, rest._replace(labels=1 - labels[200:])), 100 - error_percent(probe, rest)
    )


def test_the_probe_is_the_one_that_finds_validation_classes_most_probable() -> None:
    """Which of three weights of the penalty is chosen depends on the number of examples and on their noise."""
    rng, chosen = np.random.default_rng(1), set()
    for examples, noise in ((40, 6.0), (1000, 0.1)):
        codes = rng.normal(size=(examples + 500, 30)).astype(np.float32)
        labels = (codes[:, :10].sum(axis=1) + noise * rng.normal(size=len(codes)) > 0).astype(np.int32)
        train = Dataset(codes[:examples], labels[:examples])
        validation = Dataset(codes[examples:], labels[examples:])
        center, scale = train.x.mean(axis=0), train.x.std(axis=0)
        losses = {}
        for inverse_weight in (0.01, 0.1, 1.0):
            probe = LogisticRegression(C=inverse_weight, tol=1e-3).fit((train.x - center) / scale, train.labels)
            losses[inverse_weight] = log_loss(validation.labels, probe.predict_proba((validation.x - center) / scale))
        found = fit_probe(train, validation)[-1].C
        assert found == min(losses, key=losses.__getitem__)
        chosen.add(found)
    assert len(chosen) > 1


def test_distance_to_the_nearest() -> None:
    assert distance_to_nearest(np.array([[0.0], [10.0]]), np.array([[1.0], [7.0]])) == 2.0
