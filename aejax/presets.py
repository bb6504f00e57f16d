"""The named experiments of `scripts/train.py`, each with its source and what to expect of it."""

from aejax.configuration import Data, Experiment, Model, Optimization, Training

DEFAULT = "digits-vae"

PRESETS: dict[str, tuple[str, Experiment]] = {
    "digits-vae": (
        "variational autoencoder on 8x8 handwritten digits; under a minute on two cores",
        Experiment(
            model=Model(family="variational", hidden=(256,), code_size=10),
            optimization=Optimization(learning_rate=3e-3, schedule="cosine"),
            training=Training(batch_size=64, epochs=300, patience=50, checkpoint_every=20),
        ),
    ),
    "digits-ae": (
        "undercomplete autoencoder on 8x8 handwritten digits, squared error",
        Experiment(
            model=Model(family="undercomplete", hidden=(256,), code_size=10),
            training=Training(batch_size=64, epochs=300, patience=30, checkpoint_every=20),
        ),
    ),
    # After the denoising example of the Keras blog (F. Chollet, 2016, Building Autoencoders in Keras), with its
    # 64-32-16 channels and 10 % of the pixels replaced; the unprocessed test images have a squared error of 32.8
    # (0.0419 per pixel).
    "fashion-denoise": (
        "convolutional denoising autoencoder on Fashion-MNIST, 10 % salt and pepper",
        Experiment(
            data=Data(dataset="fashion_mnist"),
            model=Model(
                family="undercomplete",
                network="conv",
                hidden=(64, 32, 16),
                code_size=None,
                loss="binary_cross_entropy",
                corruption="salt_and_pepper",
                corruption_level=0.1,
            ),
            training=Training(batch_size=128, epochs=100, patience=10),
        ),
    ),
    "fashion-vae2d": (
        "convolutional variational autoencoder on Fashion-MNIST with a code that can be drawn, 2 numbers",
        Experiment(
            data=Data(dataset="fashion_mnist"),
            model=Model(family="variational", network="conv", hidden=(32, 64), code_size=2),
            training=Training(batch_size=128, epochs=30, patience=5),
        ),
    ),
    # The 784-400-20 network of the Flax and PyTorch examples, after D. P. Kingma, M. Welling (2014), on gray values
    # as they are (not binarized).
    "mnist-vae": (
        "variational autoencoder 784-400-20 on MNIST",
        Experiment(
            data=Data(dataset="mnist"),
            model=Model(family="variational", hidden=(400,), code_size=20),
            optimization=Optimization(learning_rate=1e-3),
            training=Training(batch_size=128, epochs=50, patience=10),
        ),
    ),
}
