"""Stacked denoising autoencoders, stacked autoencoders and no pretraining, as classifiers of MNIST."""

from functools import partial

import jax
import numpy as np
from matplotlib.figure import Figure

from aejax.datasets.dataset import Splits
from aejax.experiment.configuration import Data, Experiment, Model
from aejax.keys import named_key
from aejax.plots import beside_published
from aejax.studies.claims import Claim
from aejax.studies.reproductions.bench import Bench
from aejax.studies.reproductions.record import Reproduction, Result, Row, Scale
from aejax.studies.stacked import error_rate, fine_tune, pretrain, random_layers

_ERROR = "error"
_METHODS = {"SDAE-3": "denoising", "SAE-3": "plain", "no pretraining": None}
_PUBLISHED = {
    "basic": {"SVM": 3.03, "SAE-3": 3.46, "SDAE-3": 2.84},
    "MNIST": {"SVM": 1.40, "SAE-3": 1.40, "SDAE-3": 1.28},
}
_MASKED = {"basic": 0.1, "MNIST": 0.25}  # chosen on validation examples by the paper
_PROBLEMS = {"full": ("basic", "MNIST"), "reduced": ("basic",), "smoke": ("basic",)}
# widths, epochs of pretraining each layer, epochs of fine-tuning
_TRAINING = {"full": ((1000,) * 3, 100, 100), "reduced": ((500,) * 3, 15, 25), "smoke": ((16,) * 3, 1, 1)}
_BASIC = (10_000, 2_000)  # training and validation images of the problem basic; the rest are test images
_MAX_TEST = 50_000


def _run(bench: Bench) -> Result:
    dataset = "digits" if bench.budget == "smoke" else "mnist"
    splits = bench.splits(Experiment(data=Data(dataset=dataset), model=Model(loss="binary_cross_entropy")))
    errors: dict[tuple[str, str], list[float]] = {}
    rows = []
    for problem in _PROBLEMS[bench.budget]:
        parts = _parts(splits, problem)
        for method, kind in _METHODS.items():
            for seed in range(bench.seeds):
                name = f"{problem}-{method.replace(' ', '-')}-seed-{seed}"
                measure = partial(_error, bench, name, parts, kind, _MASKED[problem], seed)
                errors.setdefault((problem, method), []).append(bench.measured(name, measure))
        errors[problem, "SVM"] = [bench.measured(f"{problem}-SVM", partial(_error_of_svm, parts))]
        rows += [
            Row(
                f"{problem}: {method}",
                {_ERROR: errors[problem, method]},
                {_ERROR: _PUBLISHED[problem][method]} if method in _PUBLISHED[problem] else {},
            )
            for method in ("SVM", *_METHODS)
        ]
    means = {key: float(np.mean(values)) for key, values in errors.items()}
    claims = [
        Claim(
            f"{problem}: the test error after denoising is below that {of_rival}",
            means[problem, "SDAE-3"] < means[problem, rival],
            f"{means[problem, 'SDAE-3']:.2f} % and {means[problem, rival]:.2f} %",
        )
        for problem in _PROBLEMS[bench.budget]
        for rival, of_rival in (("SAE-3", "of plain stacked autoencoders"), ("no pretraining", "without pretraining"))
    ]
    return Result({_ERROR: "test error, %"}, rows, claims, partial(_draw, rows))


def _parts(splits: Splits, problem: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Returns the examples (N, D) and labels of training, validation and test."""
    flat = []
    for part in splits:
        assert part.labels is not None  # of both data sets
        flat.append((np.asarray(part.x, np.float32).reshape(len(part.x), -1), np.asarray(part.labels, np.int32)))
    if problem != "basic":
        return flat
    (x, labels), (other_x, other_labels), (test_x, test_labels) = flat
    train, validation = (min(most, len(own) // 2) for most, own in zip(_BASIC, (x, other_x), strict=True))
    test = np.concatenate([test_x, x[train:]])[:_MAX_TEST], np.concatenate([test_labels, labels[train:]])[:_MAX_TEST]
    return [(x[:train], labels[:train]), (other_x[:validation], other_labels[:validation]), test]


def _error(
    bench: Bench, name: str, parts: list[tuple[np.ndarray, np.ndarray]], kind: str | None, masked: float, seed: int
) -> float:
    """Returns the test error in percent of three layers that are fine-tuned."""
    train, validation, test = parts
    widths, pretraining, fine_tuning = _TRAINING[bench.budget]
    key = jax.random.key(seed)
    if kind is None:
        layers = random_layers(named_key(key, "layers"), (train[0].shape[1], *widths))
    else:
        layers = pretrain(
            named_key(key, "layers"),
            train[0],
            validation[0],
            widths,
            masked=masked if kind == "denoising" else 0.0,
            epochs=pretraining,
            on_layer=lambda number: bench.note(f"{name}: layer {number} of {len(widths)}"),
        )
    classes = int(train[1].max()) + 1
    tuned = fine_tune(named_key(key, "tuning"), layers, train, validation, classes=classes, epochs=fine_tuning)
    error = 100 * error_rate(tuned.layers, *test)
    bench.note(f"{name}: test error {error:.2f} %, validation {100 * tuned.validation_error:.2f} %")
    return error


def _error_of_svm(parts: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Returns the test error in percent of a support vector machine whose C validation examples choose."""
    from sklearn.svm import SVC

    train, validation, test = parts
    machines = [SVC(C=strength, gamma="scale").fit(*train) for strength in (1.0, 10.0)]
    best = max(machines, key=lambda machine: machine.score(*validation))
    return 100 * (1 - float(best.score(*test)))


def _draw(rows: list[Row]) -> dict[str, Figure]:
    measured = {row.setting: row.measured[_ERROR] for row in rows}
    published = {row.setting: row.published[_ERROR] for row in rows if _ERROR in row.published}
    return {"errors": beside_published(measured, published, value="test error, %")}


TABLE = Reproduction(
    title="Stacked denoising autoencoders as a start for classifiers of MNIST",
    source="P. Vincent et al. (2010), Stacked Denoising Autoencoders, Table 3",
    scales={
        "full": Scale(1500, "three layers of 1,000 units; basic (10,000 training images) and all of MNIST", 3),
        "reduced": Scale(4, "basic alone, 10,000 training images; three layers of 500 units, 15 and 25 epochs", 1),
        "smoke": Scale(0.5, "8x8 digits, three layers of 16 units, 1 epoch", 1),
    },
    run=_run,
)
