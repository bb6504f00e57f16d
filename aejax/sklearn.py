"""A scikit-learn transformer that is an autoencoder, for pipelines and grid searches."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Literal

import jax
import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from aejax.checks import check_sizes
from aejax.datasets.dataset import Dataset, Splits, split
from aejax.errors import UserError
from aejax.evaluation.anomaly import anomaly_score
from aejax.experiment.build import build_autoencoder
from aejax.experiment.configuration import Experiment, Model, Optimization, Regularization, Training, check
from aejax.experiment.facts import Facts
from aejax.experiment.job import fit, make_job
from aejax.keys import named_key

_BATCH = 256  # rows at a time; a fixed size, so that results do not depend on other rows and nothing is recompiled


_KINDS = (
    ("activation", (str,), "the name of a function"),
    ("variational", (bool,), "True or False"),
    ("noise", (int, float), "a number"),
    ("validation_fraction", (int, float), "a number"),
)
_ARGUMENTS = {"code_size": "n_components", "corruption_level": "noise"}  # for knobs with other names


class AutoencoderTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Dimensionality reduction by a dense autoencoder, undercomplete or variational.

    The autoencoder is trained by Adam with a cosine schedule. A fraction of the examples is held out for validation,
    and the parameters of the epoch with the lowest validation loss are kept. Data far from unit scale are standardized
    inside the model. Smaller differences between the scales of features are not corrected: use a `StandardScaler`
    before it. All computations are in single precision, on one device.

    Args:
      n_components: length of the code.
      hidden: widths of the encoder's hidden layers; the decoder has them in reverse order.
      activation: after every hidden layer: relu, tanh, sigmoid, elu, gelu, silu or softplus.
      variational: whether to use a variational autoencoder, with a Gaussian likelihood with one learned variance and
        the posterior mean as code; otherwise an undercomplete autoencoder with squared error.
      noise: standard deviation of Gaussian noise that is added to the inputs during training (denoising), in the unit
        of the data, or in standard deviations if the data are standardized.
      contractive_weight: weight of the squared Frobenius norm of the encoder's exact Jacobian.
      learning_rate: the peak of the schedule.
      weight_decay: decoupled weight decay.
      batch_size: examples per step, reduced to the number of training examples if larger.
      epochs: the largest number of passes over the training examples.
      patience: number of epochs without improvement after which training stops; None never stops early.
      validation_fraction: fraction of the examples held out for validation, between 0 and 1.
      random_state: an integer for reproducible results, a `numpy.random.RandomState`, or None.

    Attributes:
      experiment_: the configuration of the training.
      facts_: facts of the training examples, including the scaling inside the model.
      params_: the parameters of the best epoch, as NumPy arrays.
      best_epoch_: the epoch with the lowest validation loss.
      validation_loss_: the validation loss of that epoch, mean over examples.
      n_features_in_: the number of features of the training examples.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> reduce = make_pipeline(StandardScaler(), AutoencoderTransformer(2, epochs=3, random_state=0))
    >>> reduce.fit_transform(load_iris().data).shape
    (150, 2)
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden: Sequence[int] = (128,),
        activation: Literal["relu", "tanh", "sigmoid", "elu", "gelu", "silu", "softplus"] = "gelu",
        variational: bool = False,
        noise: float = 0.0,
        contractive_weight: float = 0.0,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.0,
        batch_size: int = 64,
        epochs: int = 100,
        patience: int | None = 20,
        validation_fraction: float = 0.1,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        """Stores the arguments, which `fit` checks."""
        self.n_components = n_components
        self.hidden = hidden
        self.activation = activation
        self.variational = variational
        self.noise = noise
        self.contractive_weight = contractive_weight
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.epochs = epochs
        self.patience = patience
        self.validation_fraction = validation_fraction
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: Any = None) -> "AutoencoderTransformer":  # noqa: N803
        """Trains the autoencoder.

        Args:
          X: (N, D) examples, N >= 2.
          y: ignored.

        Returns:
          The fitted transformer itself.

        Raises:
          TypeError: an argument of the constructor has the wrong type.
          ValueError: an argument is out of range, values are NaN or infinite, or there are fewer than two examples.
        """
        x = _to_single(validate_data(self, X, dtype=[np.float64, np.float32], ensure_min_samples=2), name="X")
        seed = int(check_random_state(self.random_state).randint(2**31))
        experiment = self._experiment(seed)
        train, validation = split(Dataset(x), fractions=(self.validation_fraction,), seed=seed)
        training = experiment.training
        if training.batch_size > len(train.x):
            experiment = self._experiment(seed, batch_size=len(train.x))
        job = make_job(experiment, Splits(train, validation, validation))
        snapshot = fit(job, devices=jax.devices()[:1])
        self.experiment_, self.facts_ = experiment, job.facts
        self.params_ = jax.device_get(snapshot.best_params)
        self.best_epoch_ = snapshot.stopping.best_epoch
        self.validation_loss_ = snapshot.stopping.best_loss
        self._n_features_out = self.n_components
        return self

    def transform(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Returns the codes (N, n_components) of examples (N, D)."""
        return self._apply("encode", self._validated(X))

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Returns the decoded examples (N, D) of codes (N, n_components)."""
        check_is_fitted(self)
        codes = check_array(X, dtype=[np.float64, np.float32], input_name="X")
        _to_single(codes, name="codes")
        if codes.shape[1] != self._n_features_out:
            raise ValueError(f"codes must have shape (examples, {self._n_features_out}), got {codes.shape}")
        return self._apply("decode", codes)

    def score_samples(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        """Returns a score of each example (N, D), shape (N,): higher for examples similar to the training examples.

        The score is the negative squared reconstruction error, summed over features. For a variational autoencoder it
        is the evidence lower bound in nats, estimated by 16 samples with the same random key at every call.
        """
        return self._apply("score", self._validated(X))

    def score(self, X: ArrayLike, y: Any = None) -> float:  # noqa: N803
        """Returns the mean of `score_samples`, which a grid search maximizes; `y` is ignored."""
        return float(np.mean(self.score_samples(X), dtype=np.float64))

    def __sklearn_tags__(self) -> Any:
        """Returns scikit-learn's tags of this estimator."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _experiment(self, seed: int, *, batch_size: int | None = None) -> Experiment:
        variational: dict[str, Any] = {"family": "variational", "likelihood": "gaussian_with_global_variance"}
        family = variational if self.variational else {"family": "undercomplete"}
        given = {name: _plain(value) for name, value in self.get_params(deep=False).items()}
        hidden = check_sizes("hidden", self.hidden)
        for name, kinds, wanted in _KINDS:
            if not isinstance(given[name], kinds) or (bool not in kinds and isinstance(given[name], bool)):
                raise TypeError(f"{name} must be {wanted}, got {given[name]!r}")
        layers = {"hidden": hidden, "activation": self.activation} if hidden else {"hidden": ()}
        noise = {"corruption": "gaussian_noise", "corruption_level": given["noise"]} if self.noise else {}
        experiment = Experiment(
            model=Model(**family, **layers, code_size=given["n_components"]),
            regularization=Regularization(contractive_weight=given["contractive_weight"], **noise),
            optimization=Optimization(
                learning_rate=given["learning_rate"], schedule="cosine", weight_decay=given["weight_decay"]
            ),
            training=Training(
                batch_size=given["batch_size"] if batch_size is None else batch_size,
                epochs=given["epochs"],
                patience=given["patience"],
                seed=seed,
            ),
        )
        try:
            check(experiment)
        except UserError as error:
            raise UserError(_in_terms_of_arguments(str(error))) from error
        if not 0 < self.validation_fraction < 1:
            raise ValueError(f"validation_fraction must be between 0 and 1, got {self.validation_fraction}")
        return experiment

    def _validated(self, X: ArrayLike) -> np.ndarray:  # noqa: N803
        check_is_fitted(self)
        given = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        _to_single(given, name="X")
        return given

    def _apply(self, function: str, x: np.ndarray) -> np.ndarray:
        """Returns a function's results for all rows, in batches of a fixed size, the last one padded with zeros."""
        apply = _functions(self.experiment_.model, self.facts_)[function]
        results = []
        for start in range(0, len(x), _BATCH):
            rows = x[start : start + _BATCH].astype(np.float32)
            padded = np.concatenate([rows, np.zeros((_BATCH - len(rows), *rows.shape[1:]), np.float32)])
            results.append(np.asarray(apply(self.params_, padded))[: len(rows)])
        return np.concatenate(results).astype(x.dtype)


def _in_terms_of_arguments(message: str) -> str:
    """Returns a message about a knob of the configuration with the name of the argument that sets it.

    >>> _in_terms_of_arguments("model.code_size: input should be greater than 0, got 0")
    'n_components: input should be greater than 0, got 0'
    """
    knob, separator, rest = message.partition(":")
    _, _, name = knob.partition(".")
    return f"{_ARGUMENTS.get(name, name) or knob}{separator}{rest}"


def _plain(value: Any) -> Any:
    """Returns a NumPy scalar, which a grid search may pass, as a Python number; all else unchanged."""
    return value.item() if isinstance(value, np.generic) else value


def _to_single(x: np.ndarray, *, name: str) -> np.ndarray:
    """Returns x as float32; ValueError if a value exceeds its range."""
    with np.errstate(over="ignore"):
        single = x.astype(np.float32)
    if not np.isfinite(single).all():
        raise ValueError(f"{name} holds values beyond single precision: infinity or too large")
    return single


@lru_cache(maxsize=8)
def _functions(model: Model, facts: Facts) -> dict[str, Callable[..., jax.Array]]:
    """Returns compiled functions of parameters and a batch; kept outside the estimator, which must be picklable."""
    autoencoder = build_autoencoder(Experiment(model=model), facts)
    key = named_key(jax.random.key(0), "scores")

    def score(params: Any, x: jax.Array) -> jax.Array:
        return -anomaly_score(autoencoder, params, key, x)

    of_one = {"encode": autoencoder.encode, "decode": autoencoder.decode, "score": score}
    return {name: jax.jit(jax.vmap(function, in_axes=(None, 0))) for name, function in of_one.items()}
