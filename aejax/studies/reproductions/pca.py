"""PCA against linear and deep autoencoders of MNIST, by the size of the code."""

import math
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from aejax.datasets.dataset import Splits
from aejax.evaluation.principal import fit_pca
from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Training
from aejax.experiment.reconstruction_error import squared_errors
from aejax.experiment.trained import TrainedRun
from aejax.plots import trade_offs
from aejax.studies.claims import Claim
from aejax.studies.reproductions.bench import Bench
from aejax.studies.reproductions.record import Reproduction, Result, Row, Scale

_ERROR = "error"
_PUBLISHED = {"PCA": 13.87, "deep": 3.00}  # with 30 numbers; figure 2B
_PUBLISHED_SIZE = 30
_SIZES = {"full": (2, 4, 8, 16, 30, 64), "reduced": (2, 8, 30), "smoke": (2,)}
_EPOCHS = {"full": (60, 200), "reduced": (30, 10), "smoke": (1, 1)}  # linear, deep
_WITHIN = 0.01


def _experiment(method: str, size: int, budget: str, seed: int) -> Experiment:
    linear, deep = _EPOCHS[budget]
    if method == "linear":
        model = Model(family="undercomplete", hidden=(), code_size=size)
        optimization, epochs = Optimization(learning_rate=2e-3, schedule="cosine"), linear
    else:
        hidden = (32,) if budget == "smoke" else (1000, 500, 250)
        model = Model(
            family="undercomplete", hidden=hidden, code_size=size, activation="gelu", loss="binary_cross_entropy"
        )
        optimization, epochs = Optimization(learning_rate=1e-3, schedule="cosine"), deep
    data = Data(dataset="digits") if budget == "smoke" else Data(dataset="mnist", validation_fraction=0.05)
    training = Training(batch_size=128, epochs=epochs, patience=None, checkpoint_every=5, seed=seed)
    return Experiment(data=data, model=model, optimization=optimization, training=training)


def _error(run: TrainedRun) -> float:
    """Returns the squared error per test image of a run."""
    return math.prod(run.example_shape) * float(squared_errors(run).mean())


def _pca_error(splits: Splits, size: int) -> float:
    """Returns the squared error per test image of PCA of all training images."""
    train, test = (np.asarray(part.x, np.float32).reshape(len(part.x), -1) for part in (splits.train, splits.test))
    components = fit_pca(train, size, svd_solver="covariance_eigh")
    errors = test - components.inverse_transform(components.transform(test))
    return float(np.square(errors, dtype=np.float64).sum(axis=1).mean())


def _run(bench: Bench) -> Result:
    rows: list[Row] = []
    errors: dict[tuple[str, int], list[float]] = {}
    for size in _SIZES[bench.budget]:
        for method in ("linear", "deep"):
            for seed in range(bench.seeds):
                name = f"{method}-{size}-seed-{seed}"
                run = bench.train(name, _experiment(method, size, bench.budget, seed))
                errors.setdefault((method, size), []).append(bench.measured(name, partial(_error, run)))
        errors["PCA", size] = [bench.measured(f"PCA-{size}", partial(_pca_error, bench.splits(run.experiment), size))]
        for method in ("PCA", "linear", "deep"):
            published = {_ERROR: _PUBLISHED[method]} if size == _PUBLISHED_SIZE and method in _PUBLISHED else {}
            rows.append(Row(f"{method}, {size} numbers", {_ERROR: errors[method, size]}, published))
    means = {key: sum(values) / len(values) for key, values in errors.items()}
    sizes = _SIZES[bench.budget]
    excess = {size: means["linear", size] / means["PCA", size] - 1 for size in sizes}
    claims = [
        Claim(
            f"the linear autoencoder's error is within {_WITHIN:.0%} of PCA's",
            all(abs(each) <= _WITHIN for each in excess.values()),
            ", ".join(f"{size} numbers: {each:+.2%}" for size, each in excess.items()),
        ),
        Claim(
            "the deep autoencoder's error is below PCA's at every size",
            all(means["deep", size] < means["PCA", size] for size in sizes),
            ", ".join(f"{size}: {means['deep', size]:.3g} and {means['PCA', size]:.3g}" for size in sizes),
        ),
    ]
    curves = {
        method: ([float(size) for size in sizes], [means[method, size] for size in sizes])
        for method in ("deep", "linear", "PCA")
    }

    def draw() -> dict[str, Figure]:
        title = "squared error of test images by the size of the code"
        return {"error": trade_offs(curves, title=title, cost="numbers in the code", gain="squared error per image")}

    return Result({_ERROR: "squared error per image"}, rows, claims, draw)


TABLE = Reproduction(
    title="PCA against linear and deep autoencoders of MNIST",
    source="G. E. Hinton, R. R. Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks",
    scales={
        "full": Scale(
            300, "codes of 2 to 64 numbers; deep networks 784-1000-500-250 with GELU and no pretraining, 200 epochs", 3
        ),
        "reduced": Scale(6, "codes of 2, 8 and 30 numbers; deep networks 784-1000-500-250, 10 epochs", 1),
        "smoke": Scale(0.3, "8x8 digits, 2 numbers, 1 epoch", 1),
    },
    run=_run,
)
