"""The presets of `aejax train`: named experiments, with their sources and their results."""

from dataclasses import replace
from typing import Any

from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Regularization, Training, differences
from aejax.host.commands import verb_command

DEFAULT = "digits-vae"
# for runs without a preset on other data than that of DEFAULT; no value was tuned for a particular data set
OWN = Experiment(training=Training(checkpoint_every=5))
OWN_IMAGES = Experiment(
    model=Model(
        network="conv",
        hidden=(32, 64),
        code_size=128,
        activation="gelu",
        likelihood="gaussian_with_global_variance",
    ),
    optimization=Optimization(schedule="cosine"),
    training=Training(epochs=50, patience=10, checkpoint_every=5),
)
# With a predicted variance instead of 0.3, the squared errors of Ames housing's test rows are 1.8 times as large:
# columns that are almost always 0 then have nearly the whole likelihood. 0.3 was chosen by these errors, of one split.
OWN_TABLE = Experiment(
    model=Model(likelihood="table", likelihood_variance=0.3, hidden=(128,), code_size=8, activation="gelu"),
    optimization=Optimization(learning_rate=2e-3, schedule="cosine"),
    training=Training(epochs=100, patience=30, checkpoint_every=10),
)


def _on_digits(
    model: Model,
    regularization: Regularization | None = None,
    *,
    epochs: int = 200,
    learning_rate: float = 3e-3,
    batch_size: int = 64,
) -> Experiment:
    return Experiment(
        model=model,
        regularization=regularization or Regularization(),
        optimization=Optimization(learning_rate=learning_rate, schedule="cosine"),
        training=Training(batch_size=batch_size, epochs=epochs, patience=50, checkpoint_every=20),
    )


# With beta 1 half of the units carry no information (5 of 10 are active, squared error 0.0221, PCA 0.0196); with 0.5
# two do not (0.0133). Samples of N(0, I) look more like digits the larger beta is, and with two hidden layers.
_DEFAULT = _on_digits(
    Model(family="variational", hidden=(256, 128), code_size=10, activation="gelu"),
    Regularization(beta=0.3),
    learning_rate=2e-3,
)
_AUTOENCODER = Model(family="undercomplete", hidden=(256,), code_size=10)
_VAE = Model(family="variational", hidden=(256,), code_size=10)
# one layer of logistic units with tied weights, after S. Rifai et al. (2011), Contractive Auto-Encoders, section 5
_ONE_LAYER = Model(family="tied", hidden=(), code_size=200, activation="sigmoid", loss="binary_cross_entropy")
_OVERCOMPLETE = Model(family="undercomplete", hidden=(), code_size=128, code_activation="relu")


def _dimension_reduction(dataset: str, epochs: int) -> Experiment:
    """Returns a wide dense autoencoder for images; shifts by a pixel reduce overfitting, cross-entropy is faster."""
    return Experiment(
        data=Data(dataset=dataset, validation_fraction=0.05, shift=1),
        model=Model(
            family="undercomplete",
            hidden=(1024, 512),
            code_size=32,
            activation="gelu",
            loss="binary_cross_entropy",
        ),
        optimization=Optimization(learning_rate=1e-3, schedule="cosine"),
        training=Training(batch_size=128, epochs=epochs, patience=None, checkpoint_every=5),
    )


def _one_class(dataset: str) -> Experiment:
    return Experiment(
        data=Data(dataset=dataset),
        model=Model(family="undercomplete", hidden=(256, 64), code_size=16, activation="gelu"),
        optimization=Optimization(learning_rate=1e-3, schedule="cosine"),
        training=Training(batch_size=64, epochs=30, patience=None),
    )


_FASHION_DENOISE = Experiment(
    data=Data(dataset="fashion_mnist"),
    model=Model(
        family="undercomplete",
        network="conv",
        hidden=(64, 32, 16),
        code_size=None,
        loss="binary_cross_entropy",
    ),
    regularization=Regularization(corruption="salt_and_pepper", corruption_level=0.1),
    training=Training(batch_size=128, epochs=100, patience=10),
)

_PAGE_LOSS: dict[str, Any] = {"loss": "binary_cross_entropy"}


def _on_documents(model: Model) -> Experiment:
    return Experiment(
        data=Data(dataset="documents"),
        model=model,
        optimization=Optimization(learning_rate=2e-3, schedule="cosine", warmup_steps=100),
        training=Training(batch_size=8, epochs=40, patience=None, checkpoint_every=5),
    )


# Trained and validated on 200 of the 292 normal beats and on no abnormal beat. Over 5 splits the bound detects abnormal
# beats with a mean AUROC of 0.996; PCA with 8 components reaches 0.993, with 2, its best, 0.994.
_ECG5000 = Experiment(
    data=Data(dataset="ecg5000", validation_fraction=0.2),
    model=Model(hidden=(128,), code_size=8, activation="tanh", likelihood="gaussian_with_global_variance"),
    optimization=Optimization(learning_rate=2e-3, schedule="cosine"),
    training=Training(batch_size=40, epochs=200, evaluate_every=5, patience=None, checkpoint_every=50),
)

PRESETS: dict[str, tuple[str, Experiment]] = {
    "digits-vae": (
        "variational, 8x8 handwritten digits; under a minute on two cores; error 0.0098, PCA 0.0196",
        _DEFAULT,
    ),
    "digits-ae": (
        "undercomplete, 10-dimensional code of 64 pixels; error 0.0097, PCA 0.0196",
        _on_digits(_AUTOENCODER),
    ),
    "digits-linear": (
        "linear and undercomplete, whose optimum spans the subspace of PCA; error 0.0243, PCA 0.0239",
        _on_digits(Model(family="undercomplete", hidden=(), code_size=8), learning_rate=1e-2),
    ),
    "digits-deep": (
        "undercomplete with three hidden layers on either side; error 0.0101, PCA 0.0196",
        _on_digits(Model(family="undercomplete", hidden=(256, 128, 64), code_size=10), learning_rate=1e-3),
    ),
    "digits-conv": (
        "undercomplete, convolutional; error 0.0304, which is above that of PCA, 0.0196",
        _on_digits(Model(family="undercomplete", network="conv", hidden=(16, 8), code_size=10), epochs=40),
    ),
    "digits-tied": ("tied weights, one layer of 200 logistic units; error 0.0020", _on_digits(_ONE_LAYER)),
    "digits-sparse": (
        "sparse by L1, 128-dimensional code of 64 pixels; error 0.0024, 26 % of all entries are not 0",
        _on_digits(_OVERCOMPLETE, Regularization(sparse_weight=0.1)),
    ),
    "digits-sparse-kl": (
        "sparse by KL to a mean activation of 0.05, 128 logistic units; error 0.0057, mean activation 0.063",
        _on_digits(replace(_OVERCOMPLETE, code_activation="sigmoid"), Regularization(sparse_kl_weight=0.2)),
    ),
    "digits-k-sparse": (
        "k-sparse, the 10 largest of 128 linear units; error 0.0107",
        _on_digits(Model(family="k_sparse", hidden=(), code_size=128, active_entries=10)),
    ),
    "digits-contractive": (
        "contractive by the exact Jacobian, tied weights; error 0.0058",
        _on_digits(_ONE_LAYER, Regularization(contractive_weight=0.1)),
    ),
    "digits-contractive-h": (
        "contractive with the higher-order term, CAE+H; error 0.0113",
        _on_digits(
            replace(_ONE_LAYER, code_size=100),
            Regularization(contractive_weight=0.1, higher_order_weight=0.1, higher_order_noise=0.1),
            epochs=60,
        ),
    ),
    "digits-denoise": (
        "denoising, 33 % of the pixels masked; error of unmasked images 0.0128, PCA 0.0196",
        _on_digits(_AUTOENCODER, Regularization(corruption="masking", corruption_level=0.33)),
    ),
    "digits-beta-vae": (
        "variational with beta 4, warmed up, and a narrow Gaussian likelihood; error 0.0132, all 10 units active",
        _on_digits(
            replace(_VAE, likelihood="gaussian", likelihood_variance=0.02),
            Regularization(beta=4.0, beta_schedule="linear"),
        ),
    ),
    "digits-free-bits": (
        "variational with free bits, 0.5 nats per unit; error 0.0163, all 10 units active",
        _on_digits(_VAE, Regularization(free_bits=0.5)),
    ),
    "digits-mixture-vae": (
        "variational with a learned mixture of 10 Gaussians as prior; ELBO -23.6 nats",
        _on_digits(_VAE, Regularization(prior="mixture")),
    ),
    "digits-vamp-vae": (
        "variational with the VampPrior, 50 pseudo-inputs; ELBO -23.6 nats",
        _on_digits(_VAE, Regularization(prior="vamp", prior_components=50), epochs=100),
    ),
    "digits-conditional": (
        "variational and conditional on the class; ELBO -20.8 nats, 4 of 10 units active",
        _on_digits(replace(_VAE, conditional=True)),
    ),
    "digits-iwae": (
        "importance weighted; bound with 10 samples -24.3 nats",
        _on_digits(_VAE, Regularization(importance_samples=10), epochs=60),
    ),
    "digits-infovae": (
        "variational with maximum mean discrepancy; ELBO -23.9 nats, 4 of 10 units active",
        _on_digits(_VAE, Regularization(mmd_weight=100.0)),
    ),
    # The codes fill N(0, I) only if they are few and the weight is large: with 10 units, or a weight of 10, what is
    # decoded between the codes is noise. A batch of 256 estimates the discrepancy better than one of 64.
    "digits-wae": (
        "Wasserstein: 5 units matched to N(0, I) by maximum mean discrepancy; error 0.0216, PCA 0.0334",
        _on_digits(
            replace(_DEFAULT.model, family="undercomplete", code_size=5, loss="binary_cross_entropy"),
            Regularization(mmd_weight=1000.0),
            learning_rate=2e-3,
            batch_size=256,
        ),
    ),
    "digits-tcvae": (
        "variational with total correlation, beta-TCVAE; ELBO -24.7 nats, 5 of 10 units active",
        _on_digits(_VAE, Regularization(total_correlation_weight=3.0)),
    ),
    # After the denoising example of the Keras blog (F. Chollet, 2016, Building Autoencoders in Keras), with its
    # 64-32-16 channels and 10 % of the pixels replaced; the unprocessed test images have a squared error of 32.8
    # (0.0419 per pixel).
    "fashion-denoise": (
        "convolutional denoising autoencoder on Fashion-MNIST, 10 % salt and pepper; PSNR 22.3 dB",
        _FASHION_DENOISE,
    ),
    "fashion-denoise-unet": (
        "U-Net denoising autoencoder on Fashion-MNIST, 10 % salt and pepper; PSNR 23.5 dB",
        replace(
            _FASHION_DENOISE,
            model=replace(_FASHION_DENOISE.model, network="unet", hidden=(32, 48, 64)),
            optimization=Optimization(learning_rate=2e-3, schedule="cosine", warmup_steps=100),
            training=Training(batch_size=128, epochs=6, patience=None),
        ),
    ),
    "fashion-vae2d": (
        "convolutional variational autoencoder on Fashion-MNIST with a 2-dimensional code; ELBO -264.0 nats",
        Experiment(
            data=Data(dataset="fashion_mnist"),
            model=Model(family="variational", network="conv", hidden=(32, 64), code_size=2),
            training=Training(batch_size=128, epochs=30, patience=5),
        ),
    ),
    # The one-block autoencoder of tutorials on these pages; its receptive field extends 5 pixels around each pixel.
    "documents-tutorial": (
        "scanned pages, the tutorials' one-block network; RMSE 0.0391 after 10 epochs, noisy pages 0.1615",
        _on_documents(Model(family="undercomplete", network="conv", hidden=(64,), code_size=None, **_PAGE_LOSS)),
    ),
    # After 40 epochs, in 25 minutes on one core, test pages have an RMSE of 0.0238, 0.0220 and 0.0222 (3 seeds);
    # division by the background reaches 0.0344, the noisy pages have 0.1615. Other scans of the test pages are not in
    # the training split, but other pages with the same stains are. The silver medal of Kaggle's Denoising Dirty
    # Documents, on another split, was at 0.0261.
    "documents-denoise": (
        "scanned pages, a U-Net that sees 105 pixels around each pixel; RMSE 0.0220 to 0.0238, noisy pages 0.1615",
        _on_documents(
            Model(family="undercomplete", network="unet", hidden=(32, 48, 64, 96), code_size=None, **_PAGE_LOSS)
        ),
    ),
    "mnist-ae32": (
        "undercomplete, dense, 32-dimensional code of MNIST; error per image 2.25, PCA 13.19",
        _dimension_reduction("mnist", 40),
    ),
    "fashion-ae32": (
        "undercomplete, dense, 32-dimensional code of Fashion-MNIST; error per image 4.90, PCA 11.87",
        _dimension_reduction("fashion_mnist", 60),
    ),
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
    # The 784-400-20 network of the Flax and PyTorch examples, after D. P. Kingma, M. Welling (2014), on gray values
    # that are not binarized.
    "mnist-vae": (
        "variational autoencoder 784-400-20 on MNIST; ELBO -102.6 nats",
        Experiment(
            data=Data(dataset="mnist"),
            model=Model(family="variational", hidden=(400,), code_size=20),
            optimization=Optimization(learning_rate=1e-3),
            training=Training(batch_size=128, epochs=50, patience=10),
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


def default_for(dataset: str, autoencoder: str | None = None, family: str | None = None) -> Experiment:
    """Returns the experiment of a run without a preset: the preset DEFAULT on its own data set, or one for other data.

    Args:
      dataset: the data set of the run.
      autoencoder: the file of the user's own autoencoder, for which the experiment is always OWN; None for a built-in
        one.
      family: the family that is asked for; one that is not the preset's has none of its regularization.

    >>> default_for("mine.npy") is OWN, default_for("digits") is PRESETS[DEFAULT][1]
    (True, True)
    >>> default_for("digits", family="tied").regularization == Regularization()
    True
    """
    preset = PRESETS[DEFAULT][1]
    if autoencoder is not None:
        return OWN
    if dataset != preset.data.dataset:
        own = _own_of(dataset)
        if own is not OWN and family not in (None, own.model.family):  # it has a loss, and no likelihood
            of_family: dict[str, Any] = {"family": family, "likelihood": Model.likelihood}
            of_family |= {"likelihood_variance": Model.likelihood_variance}
            of_family |= {"loss": "table"} if own is OWN_TABLE else {}
            return replace(own, model=replace(own.model, **of_family))
        return own
    if family in (None, preset.model.family):
        return preset
    return replace(preset, regularization=Regularization())


def _own_of(dataset: str) -> Experiment:
    from aejax.datasets import image_folder  # these import NumPy, which `--help` does without
    from aejax.datasets.sources import source_of
    from aejax.datasets.tables import source as tables

    source = source_of(dataset)
    return {image_folder.SOURCE: OWN_IMAGES, tables.SOURCE: OWN_TABLE}.get(source, OWN)


def without_model(experiment: Experiment) -> Experiment:
    """Returns the experiment with the default model and regularization, as the user's own autoencoder requires."""
    return replace(experiment, model=Model(), regularization=Regularization())


def nearest_preset(experiment: Experiment) -> tuple[str | None, dict[str, Any]]:
    """Returns the preset that an experiment differs from in the fewest knobs, and the experiment's values of these.

    Args:
      experiment: any experiment.

    Returns:
      The preset's name, or None where a run without a preset is nearer; and knob -> value.

    >>> nearest_preset(PRESETS["digits-ae"][1])
    ('digits-ae', {})
    >>> nearest_preset(replace(OWN, data=Data(dataset="mine.npy")))
    (None, {'dataset': 'mine.npy'})
    """
    model = experiment.model
    bare = default_for(experiment.data.dataset, model.autoencoder, model.family)
    bases = {name: preset for name, (_, preset) in PRESETS.items()} if model.autoencoder is None else {}
    changed = {
        name: {knob: value for knob, (_, value) in differences(base, experiment).items()}
        for name, base in [*bases.items(), (None, bare)]
    }
    return min(changed.items(), key=lambda item: len(item[1]))


def training_command(experiment: Experiment) -> str:
    """Returns the command that trains an experiment: it names the nearest preset, and sets every knob that differs.

    >>> training_command(Experiment(data=Data(dataset="/my data.npy"))).partition(" train ")[2]
    "--dataset '/my data.npy' --checkpoint-every 1"
    >>> training_command(replace(PRESETS["digits-ae"][1], data=Data(split_seed=3))).partition(" train ")[2]
    'digits-ae --split-seed 3'
    """
    preset, changed = nearest_preset(experiment)
    words: list[str] = [] if preset is None else [preset]
    for knob, value in changed.items():
        flag = knob.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        else:
            values = value if isinstance(value, tuple) else [value]
            words += [f"--{flag}", *map(str, values)]
    return verb_command("train", *words)
