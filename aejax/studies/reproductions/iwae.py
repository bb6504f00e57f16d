"""Variational and importance weighted autoencoders of binarized MNIST, by the number of samples, one layer and two."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Regularization, Training
from aejax.experiment.likelihood import Settings, evaluate_likelihood
from aejax.experiment.trained import TrainedRun
from aejax.plots import beside_published
from aejax.studies.claims import Claim
from aejax.studies.reproductions.bench import Bench
from aejax.studies.reproductions.record import Reproduction, Result, Row, Scale

_NLL, _ERROR = "nll", "error"
_COLUMNS = {_NLL: "-log p(x), nats", _ERROR: "standard error of the test examples, nats"}
_PUBLISHED = {  # (layers, objective, k): -log p(x) by 5,000 samples, Table 1
    (1, "VAE", 1): 86.76,
    (1, "VAE", 5): 86.47,
    (1, "VAE", 50): 86.35,
    (1, "IWAE", 5): 85.54,
    (1, "IWAE", 50): 84.78,
    (2, "VAE", 1): 85.33,
    (2, "VAE", 5): 85.01,
    (2, "VAE", 50): 84.78,
    (2, "IWAE", 5): 83.89,
    (2, "IWAE", 50): 82.90,
}
_SETTINGS = {
    "full": tuple(_PUBLISHED),
    "reduced": ((1, "VAE", 1), (1, "IWAE", 5), (1, "IWAE", 50), (2, "VAE", 1), (2, "IWAE", 5)),
    "smoke": ((1, "VAE", 1), (1, "IWAE", 5), (2, "IWAE", 5)),
}
_EPOCHS = {"full": 3280, "reduced": 30, "smoke": 1}
_MEASURED = {"full": Settings(5000, 10_000, 0), "reduced": Settings(500, 500, 0), "smoke": Settings(10, 20, 0)}
_WITHIN = 0.3  # nats
Key = tuple[int, str, int]  # layers, objective, k


def experiment_of(bench: Bench, key: Key, seed: int) -> Experiment:
    """Returns the experiment of a setting of the table.

    Both objectives draw k samples. That of the VAE is the mean of their log-weights; that of the IWAE the logarithm of
    their mean.
    """
    layers, objective, k = key
    smoke = bench.budget == "smoke"
    first, second = (4, 2) if smoke else (50 if layers == 1 else 100, 50)
    two_layers: dict[str, Any] = {"upper_code_sizes": (second,), "upper_hidden": (8,) if smoke else (100, 100)}
    model = Model(
        hidden=(16,) if smoke else (200, 200), code_size=first, activation="tanh", **(two_layers if layers == 2 else {})
    )
    samples: dict[str, Any] = {"importance_samples": k}
    if objective == "VAE" and k > 1:  # the mean of k bounds of one sample each
        samples = {"importance_samples": 1, "importance_bound": "miwae", "importance_groups": k}
    return Experiment(
        data=bench.data(Data(dataset="digits" if smoke else "mnist", binarize="dynamic")),
        model=model,
        optimization=Optimization(learning_rate=1e-3, schedule="cosine"),
        regularization=Regularization(**samples),
        training=Training(
            batch_size=20 if bench.budget == "full" else 100,
            epochs=_EPOCHS[bench.budget],
            patience=None,
            checkpoint_every=1 if smoke else 2,
            seed=seed,
        ),
    )


def name_of(key: Key, seed: int) -> str:
    """Returns the name of a run's folder.

    >>> name_of((1, "IWAE", 5), 0)
    'layers-1-iwae-k-5-seed-0'
    """
    layers, objective, k = key
    return f"layers-{layers}-{objective.lower()}-k-{k}-seed-{seed}"


def _nll(bench: Bench, run: TrainedRun) -> list[float]:
    """Returns the mean of -log p(x) over test examples, and its standard error over examples."""
    row = evaluate_likelihood(run, _MEASURED[bench.budget]).rows[-1]
    assert row.mean is not None  # an estimate that is not finite is refused
    return [-row.mean, row.examples_error or 0.0]


def _run(bench: Bench) -> Result:
    measured: dict[Key, list[list[float]]] = {}
    for key in _SETTINGS[bench.budget]:
        for seed in range(bench.seeds):
            run = bench.train(name := name_of(key, seed), experiment_of(bench, key, seed))
            measured.setdefault(key, []).append(bench.measured(name, partial(_nll, bench, run)))
    rows = [
        Row(
            _shown(key),
            {_NLL: [value for value, _ in found], _ERROR: [error for _, error in found]},
            {_NLL: _PUBLISHED[key]},
        )
        for key, found in measured.items()
    ]
    means = {key: float(np.mean([value for value, _ in found])) for key, found in measured.items()}
    return Result(_COLUMNS, rows, _claims(bench, means), partial(_draw, rows))


def _shown(key: Key) -> str:
    layers, objective, k = key
    return f"{objective}, k = {k}, {layers} layer{'s' * (layers > 1)}"


def _claims(bench: Bench, means: dict[Key, float]) -> list[Claim]:
    claims = []
    for layers in (1, 2):
        own = [key for key in means if key[0] == layers and (key[1] == "IWAE" or key[2] == 1)]
        if len(own) > 1:
            claims.append(
                Claim(
                    f"{layers} layer{'s' * (layers > 1)}: -log p(x) falls with the samples of the bound",
                    _falls([means[key] for key in own]),
                    ", ".join(f"k = {key[2]}: {means[key]:.2f}" for key in own),
                )
            )
    both = [key for key in means if key[0] == 1 and (2, *key[1:]) in means]
    claims.append(
        Claim(
            "two layers have a lower -log p(x) than one",
            all(means[2, *key[1:]] < means[key] for key in both),
            "; ".join(f"{_shown(key)}: {means[key]:.2f}, two layers: {means[2, *key[1:]]:.2f}" for key in both),
        )
    )
    if bench.budget == "full":
        worst = max(means, key=lambda key: means[key] - _PUBLISHED[key])
        distance = means[worst] - _PUBLISHED[worst]
        claims.append(
            Claim(
                f"every value is within {_WITHIN} nats of the published one, or better",
                distance <= _WITHIN,
                f"the furthest above is {_shown(worst)}: {distance:+.2f} nats",
            )
        )
    return claims


def _falls(values: Sequence[float]) -> bool:
    return all(after < before for before, after in pairwise(values))


def _draw(rows: Sequence[Row]) -> dict[str, Figure]:
    measured = {row.setting: row.measured[_NLL] for row in rows}
    published = {row.setting: row.published[_NLL] for row in rows}
    return {"likelihoods": beside_published(measured, published, value=_COLUMNS[_NLL])}


TABLE = Reproduction(
    title="Importance weighted autoencoders of dynamically binarized MNIST",
    source="Y. Burda, R. Grosse, R. Salakhutdinov (2016), Importance Weighted Autoencoders, Table 1",
    scales={
        "full": Scale(
            60_000,
            "3,280 epochs of batches of 20, a cosine schedule, all ten settings, 5,000 samples of 10,000 images",
            1,
        ),
        "reduced": Scale(45, "30 epochs of batches of 100, five settings, 500 samples of 500 test images", 1),
        "smoke": Scale(1, "8x8 digits, small networks, 1 epoch, three settings", 1),
    },
    run=_run,
)
