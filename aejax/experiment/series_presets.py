"""Presets on heartbeats and music, and the experiments of the studies of anomalies."""

from dataclasses import replace

from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Regularization, Training


def _one_class(dataset: str) -> Experiment:
    return Experiment(
        data=Data(dataset=dataset),
        model=Model(family="undercomplete", hidden=(256, 64), code_size=16, activation="gelu"),
        optimization=Optimization(learning_rate=1e-3, schedule="cosine"),
        training=Training(batch_size=64, epochs=30, patience=None),
    )


# Trained and validated on 200 of the 292 normal beats and on no abnormal beat. Over 5 splits the bound detects abnormal
# beats with a mean AUROC of 0.996; PCA with 8 components reaches 0.993, with 2, its best, 0.994.
_ECG5000 = Experiment(
    data=Data(dataset="ecg5000", validation_fraction=0.2),
    model=Model(hidden=(128,), code_size=8, activation="tanh", likelihood="gaussian_with_global_variance"),
    optimization=Optimization(learning_rate=2e-3, schedule="cosine"),
    training=Training(batch_size=40, epochs=200, evaluate_every=5, patience=None, checkpoint_every=50),
)

SERIES: dict[str, tuple[str, Experiment]] = {
    "ecg5000-vae": ("variational, on 200 normal heartbeats, to detect abnormal ones; AUROC 0.996, PCA 0.992", _ECG5000),
    "ecg5000-sequence": (
        "variational, on 200 normal heartbeats, convolutional over time; AUROC 0.994, PCA 0.992",
        replace(
            _ECG5000,
            model=replace(_ECG5000.model, network="sequence", hidden=(16, 32)),
            training=replace(_ECG5000.training, epochs=60),
        ),
    ),
    "chorales-vae": (
        "variational, 16 quarter notes of Bach's chorales; bound 9.35 nats per quarter note after 40 epochs",
        Experiment(
            data=Data(dataset="jsb_chorales"),
            model=Model(network="sequence", hidden=(256, 256), code_size=32, activation="gelu"),
            regularization=Regularization(beta_schedule="linear", beta_steps=500),
            optimization=Optimization(learning_rate=1e-3, schedule="cosine"),
            training=Training(batch_size=32, epochs=100, patience=20),
        ),
    ),
}

# the studies of `aejax study one-class`: trained on normal examples, the others are to be detected
ONE_CLASS: dict[str, tuple[str, Experiment]] = {
    "ecg5000": ("200 normal heartbeats for training, 300 other heartbeats for testing; 5 splits", _ECG5000),
    "digits": (
        "8x8 handwritten digits, each class against the rest",
        Experiment(
            data=Data(dataset="digits"),
            model=Model(family="undercomplete", hidden=(64,), code_size=8, activation="gelu"),
            optimization=Optimization(learning_rate=3e-3, schedule="cosine"),
            training=Training(batch_size=16, epochs=100, patience=None),
        ),
    ),
    "mnist": ("each class of MNIST against the rest", _one_class("mnist")),
    "fashion_mnist": ("each class of Fashion-MNIST against the rest", _one_class("fashion_mnist")),
}

# of `aejax study adbench`, for every table; a code_size of None is a quarter of the columns there. Of hidden=(16,),
# (64,) and (128, 64), these have the smallest squared error on held-out normal rows of every table; no label was used.
ADBENCH = Experiment(
    model=Model(family="undercomplete", hidden=(128, 64), code_size=None, activation="gelu", standardize="none"),
    optimization=Optimization(learning_rate=3e-3, schedule="cosine"),
    training=Training(batch_size=64, epochs=100, patience=20),
)
