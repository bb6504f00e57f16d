"""Presets on the 8x8 handwritten digits that are installed with scikit-learn: every family, in seconds."""

from dataclasses import replace

from aejax.experiment.configuration import Data, Experiment, Model, Optimization, Regularization, Training


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


DIGITS: dict[str, tuple[str, Experiment]] = {
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
    "digits-complete": (
        "variational, the lower half of digits given the upper; bound -10.1 nats, 10 nearest neighbors -10.4 nats",
        replace(_on_digits(_VAE), data=Data(condition=("upper_half",))),
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
}
